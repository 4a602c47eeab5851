/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/condemned.h"

#include <stdlib.h>
#include <string.h>

#include "formats/condemned.h"
#include "libbackup/base/fail.h"

#define READINGS 10 /* while lists go away under us */

void
bkp_condemned_free(struct bkp_condemned *condemned)
{
	for (size_t i = 0; i < condemned->count; i++)
		free(condemned->lists[i].packs);
	free(condemned->lists);
	free(condemned->packs);
	*condemned = (struct bkp_condemned)BKP_CONDEMNED_INIT;
}

/* ---- reading ---- */

static int
note_list(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	const char *name = object->name + strlen("condemned/");
	struct bkp_condemned *condemned = arg;
	struct bkp_condemned_list *list;

	if (strlen(name) != BKP_OBJECT_NAME - 1 ||
	    strspn(name, "0123456789abcdef") != BKP_OBJECT_NAME - 1)
		return 0;
	if (bkp_grow(&condemned->lists, condemned->count, &condemned->cap,
		sizeof(*condemned->lists), err) < 0)
		return -1;
	list = &condemned->lists[condemned->count++];
	*list = (struct bkp_condemned_list){.stored_us = object->modified_us};
	memcpy(list->name, name, BKP_OBJECT_NAME);
	return 0;
}

static int
check_origin(struct bkp_repository *repository,
    const struct fmt_condemned *record, struct bkp_error *err)
{
	if (strcmp(record->repository, repository->config.id) != 0)
		return bkp_fail(err, BKP_AUTH,
		    "it was made for repository %s, this is %s",
		    record->repository, repository->config.id);
	if (!bkp_roster_may_prune(&repository->roster, record->signer))
		return bkp_fail(
		    err, BKP_AUTH, "it is signed by a key that may not prune");
	return 0;
}

static int
read_list(struct bkp_repository *repository, struct bkp_condemned_list *list,
    struct bkp_error *err)
{
	struct fmt_condemned record = FMT_CONDEMNED_INIT;
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status;
	int rc;

	rc = bkp_object_open(repository->store, "condemned", list->name,
	    repository->keys.metadata, repository->keys.count, &text, err);
	if (rc == 0) {
		status = fmt_condemned_decode(text.data, text.len, &record);
		rc = status == FMT_OK
			 ? check_origin(repository, &record, err)
			 : bkp_fail_format(err, status, "reading it");
		if (rc < 0)
			(void)bkp_fail_in(err, "%s: condemned/%s",
			    repository->store->location, list->name);
	}
	if (rc == 0) {
		list->packs = record.packs;
		list->count = list->cap = record.pack_count;
		record.packs = NULL;
	}
	fmt_condemned_free(&record);
	fmt_buf_free(&text);
	return rc;
}

static bool
is_damage(const struct bkp_error *problem)
{
	return problem->code == BKP_CORRUPT || problem->code == BKP_AUTH ||
	       problem->code == BKP_UNSUPPORTED;
}

/* Reads what was listed; *has_gone: one was not there any more. */
static int
read_lists(struct bkp_repository *repository, struct bkp_condemned *out,
    bool *has_gone, struct bkp_error *err)
{
	size_t listed = out->count;

	out->count = 0;
	for (size_t i = 0; i < listed; i++) {
		struct bkp_error problem = BKP_ERROR_INIT;

		if (read_list(repository, &out->lists[i], &problem) == 0) {
			out->lists[out->count++] = out->lists[i];
		} else if (problem.code == BKP_NOTFOUND) {
			*has_gone = true;
			return 0;
		} else if (!is_damage(&problem)) {
			if (err != NULL)
				*err = problem;
			return -1;
		} else if (out->damaged++ == 0) {
			out->damage = problem;
		}
	}
	return 0;
}

static int
compare_binary(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

/* All packs of all lists in one sorted array. */
static int
gather_packs(struct bkp_condemned *out, struct bkp_error *err)
{
	size_t total = 0;

	for (size_t i = 0; i < out->count; i++)
		total += out->lists[i].count;
	if (total == 0)
		return 0;
	out->packs = bkp_alloc_array(total, sizeof(*out->packs), err);
	if (out->packs == NULL)
		return -1;
	for (size_t i = 0; i < out->count; i++)
		for (size_t k = 0; k < out->lists[i].count; k++)
			(void)fmt_unhex(out->lists[i].packs[k],
			    out->packs[out->pack_count++], 32);
	qsort(out->packs, out->pack_count, sizeof(*out->packs), compare_binary);
	return 0;
}

int
bkp_condemned_load(struct bkp_repository *repository, struct bkp_condemned *out,
    struct bkp_error *err)
{
	struct bkp_condemned read = BKP_CONDEMNED_INIT;
	bool has_gone = true;
	int rc = 0;

	for (int i = 0; rc == 0 && has_gone; i++) {
		bkp_condemned_free(&read);
		has_gone = false;
		if (i == READINGS)
			return bkp_fail(err, BKP_RETRY,
			    "%s: the condemned lists change faster than they "
			    "can be read; try again",
			    repository->store->location);
		rc = bkp_store_list(
		    repository->store, "condemned/", note_list, &read, err);
		if (rc == 0)
			rc = read_lists(repository, &read, &has_gone, err);
	}
	if (rc == 0)
		rc = gather_packs(&read, err);
	if (rc < 0) {
		bkp_condemned_free(&read);
		return -1;
	}
	*out = read;
	return 0;
}

bool
bkp_condemned_has(
    const struct bkp_condemned *condemned, const unsigned char pack[32])
{
	return condemned->pack_count > 0 &&
	       bsearch(pack, condemned->packs, condemned->pack_count,
		   sizeof(*condemned->packs), compare_binary) != NULL;
}

/* ---- writing ---- */

int
bkp_condemned_put(struct bkp_repository *repository,
    const struct bkp_condemned_list *list, char name[BKP_OBJECT_NAME],
    struct bkp_error *err)
{
	struct fmt_condemned record = {.time_us = bkp_now_us(),
	    .packs = list->packs,
	    .pack_count = list->count};
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status;
	int rc;

	memcpy(record.repository, repository->config.id,
	    sizeof(record.repository));
	status =
	    fmt_condemned_encode(&record, repository->keys.signing_seed, &text);
	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "condemning packs");
	else
		rc = bkp_object_seal(repository->store, "condemned",
		    &repository->keys.metadata_recipient, 1, text.data,
		    text.len, name, NULL, err);
	fmt_buf_free(&text);
	return rc;
}
