/* SPDX-License-Identifier: Apache-2.0 */
/* Objects in memory: a sorted array under a lock, shared by its handles. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/store/store.h"

struct object {
	char *name;          /* owned */
	struct fmt_buf data; /* owned */
	int64_t modified_us;
};

struct objects {
	pthread_mutex_t lock;
	unsigned handles;
	struct object *items; /* sorted by name */
	size_t count, cap;
};

struct memory {
	struct bkp_store base;
	struct objects *objects;
};

static const struct bkp_store_ops memory_ops;

static struct objects *
lock(struct bkp_store *store)
{
	struct objects *objects = ((struct memory *)store)->objects;

	pthread_mutex_lock(&objects->lock);
	return objects;
}

static int
unlock(struct objects *objects, int rc)
{
	pthread_mutex_unlock(&objects->lock);
	return rc;
}

static int64_t
now_us(void)
{
	struct timespec now = {0, 0};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The place of the first object whose name is not below `name`. */
static size_t
lower_bound(const struct objects *objects, const char *name)
{
	size_t low = 0, high = objects->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(objects->items[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct object *
find(struct objects *objects, const char *name)
{
	size_t at = lower_bound(objects, name);

	if (at < objects->count && strcmp(objects->items[at].name, name) == 0)
		return &objects->items[at];
	return NULL;
}

static int
missing(struct bkp_error *err)
{
	return bkp_fail(err, BKP_NOTFOUND, "there is no such object");
}

static int
insert(struct objects *objects, const char *name, struct fmt_buf *data,
    struct bkp_error *err)
{
	size_t at = lower_bound(objects, name);
	char *copy;

	if (bkp_grow(&objects->items, objects->count, &objects->cap,
		sizeof(*objects->items), err) < 0)
		return -1;
	if ((copy = bkp_strdup(name, err)) == NULL)
		return -1;
	memmove(&objects->items[at + 1], &objects->items[at],
	    (objects->count - at) * sizeof(*objects->items));
	objects->items[at].name = copy;
	objects->items[at].data = *data;
	objects->items[at].modified_us = now_us();
	objects->count++;
	return 0;
}

static int
store_bytes(struct bkp_store *store, const char *name, const void *bytes,
    size_t len, bool is_new, struct bkp_error *err)
{
	struct fmt_buf data = FMT_BUF_INIT;
	struct objects *objects;
	struct object *there;
	int rc = 0;

	if (fmt_buf_append(&data, bytes, len) != FMT_OK)
		return bkp_fail_nomem(err, "storing an object");
	objects = lock(store);
	there = find(objects, name);
	if (there == NULL) {
		rc = insert(objects, name, &data, err);
	} else if (is_new) {
		rc = bkp_fail(err, BKP_EXISTS, "exists already");
	} else {
		fmt_buf_free(&there->data);
		there->data = data;
		there->modified_us = now_us();
	}
	if (rc < 0)
		fmt_buf_free(&data);
	return unlock(objects, rc);
}

static int
memory_put(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	return store_bytes(store, name, data, len, false, err);
}

static int
memory_put_new(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	return store_bytes(store, name, data, len, true, err);
}

static int
copy_range(const struct fmt_buf *data, uint64_t offset, uint64_t len,
    struct fmt_buf *out, struct bkp_error *err)
{
	if (len == BKP_STORE_WHOLE && offset <= data->len)
		len = data->len - offset;
	if (offset > data->len || len > data->len - offset)
		return bkp_fail(err, BKP_CORRUPT,
		    "the object has %zu bytes, and more were expected",
		    data->len);
	if (len > 0 &&
	    fmt_buf_append(out, data->data + offset, (size_t)len) != FMT_OK)
		return bkp_fail_nomem(err, "reading an object");
	return 0;
}

static int
memory_get(struct bkp_store *store, const char *name, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err)
{
	struct objects *objects = lock(store);
	const struct object *object = find(objects, name);

	return unlock(objects,
	    object == NULL ? missing(err)
			   : copy_range(&object->data, offset, len, out, err));
}

static int
memory_stat(struct bkp_store *store, const char *name,
    struct bkp_store_object *out, struct bkp_error *err)
{
	struct objects *objects = lock(store);
	const struct object *object = find(objects, name);

	if (object == NULL)
		return unlock(objects, missing(err));
	out->name = name;
	out->size = object->data.len;
	out->modified_us = object->modified_us;
	return unlock(objects, 0);
}

/* One step of a listing: a copy of the first object at or after `from`, so
 * that the callback runs without the lock. 1, 0 at the end, -1. */
static int
next_object(struct bkp_store *store, const char *from, const char *prefix,
    bool is_after, char **name, struct bkp_store_object *out,
    struct bkp_error *err)
{
	struct objects *objects = lock(store);
	size_t at = lower_bound(objects, from);
	int rc = 0;

	if (is_after && at < objects->count &&
	    strcmp(objects->items[at].name, from) == 0)
		at++;
	if (at < objects->count &&
	    strncmp(objects->items[at].name, prefix, strlen(prefix)) == 0) {
		*name = bkp_strdup(objects->items[at].name, err);
		out->size = objects->items[at].data.len;
		out->modified_us = objects->items[at].modified_us;
		rc = *name == NULL ? -1 : 1;
	}
	return unlock(objects, rc);
}

static int
memory_list(struct bkp_store *store, const char *prefix, bkp_store_list_fn *fn,
    void *arg, struct bkp_error *err)
{
	struct bkp_store_object object = {.modified_us = 0};
	char *last = NULL, *name = NULL;
	int rc;

	while ((rc = next_object(store, last != NULL ? last : prefix, prefix,
		    last != NULL, &name, &object, err)) == 1) {
		free(last);
		last = name;
		object.name = name;
		if ((rc = fn(arg, &object, err)) < 0)
			break;
	}
	free(last);
	return rc;
}

static int
memory_remove(struct bkp_store *store, const char *name, struct bkp_error *err)
{
	struct objects *objects = lock(store);
	struct object *object = find(objects, name);
	size_t at;

	if (object == NULL)
		return unlock(objects, missing(err));
	at = (size_t)(object - objects->items);
	free(object->name);
	fmt_buf_free(&object->data);
	objects->count--;
	memmove(object, object + 1,
	    (objects->count - at) * sizeof(*objects->items));
	return unlock(objects, 0);
}

static int
memory_probe(struct bkp_store *store, struct bkp_error *err)
{
	(void)store;
	(void)err;
	return 0;
}

static void
free_objects(struct objects *objects)
{
	for (size_t i = 0; i < objects->count; i++) {
		free(objects->items[i].name);
		fmt_buf_free(&objects->items[i].data);
	}
	free(objects->items);
	pthread_mutex_destroy(&objects->lock);
	free(objects);
}

static void
memory_close(struct bkp_store *store)
{
	struct objects *objects = lock(store);
	bool is_last = --objects->handles == 0;

	(void)unlock(objects, 0);
	if (is_last)
		free_objects(objects);
	free(store->location);
	free(store);
}

static const struct bkp_store_ops memory_ops = {
    .driver = "memory",
    .put = memory_put,
    .put_new = memory_put_new,
    .get = memory_get,
    .stat = memory_stat,
    .list = memory_list,
    .remove = memory_remove,
    .probe = memory_probe,
    .close = memory_close,
};

/* A handle; counted among the objects' handles by the caller. */
static struct memory *
new_handle(struct objects *objects, struct bkp_error *err)
{
	struct memory *memory = bkp_alloc(sizeof(*memory), err);

	if (memory == NULL)
		return NULL;
	memory->base.ops = &memory_ops;
	memory->base.location = bkp_strdup("memory", err);
	memory->objects = objects;
	if (memory->base.location == NULL) {
		free(memory);
		return NULL;
	}
	return memory;
}

int
bkp_store_memory_new(struct bkp_store **out, struct bkp_error *err)
{
	struct objects *objects = bkp_alloc(sizeof(*objects), err);
	struct memory *memory;

	if (objects == NULL)
		return -1;
	pthread_mutex_init(&objects->lock, NULL);
	objects->handles = 1;
	if ((memory = new_handle(objects, err)) == NULL) {
		free_objects(objects);
		return -1;
	}
	*out = &memory->base;
	return 0;
}

int
bkp_store_memory_share(
    struct bkp_store *store, struct bkp_store **out, struct bkp_error *err)
{
	struct memory *memory;
	struct objects *objects;

	memory = new_handle(((struct memory *)store)->objects, err);
	if (memory == NULL)
		return -1;
	objects = lock(store);
	objects->handles++;
	(void)unlock(objects, 0);
	*out = &memory->base;
	return 0;
}
