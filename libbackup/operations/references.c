/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/references.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/references_query.h"

/* Keys in a sentence: so many bytes of them. */
#define SHOWN_BYTES 1200
/* And names of tables. */
#define LACKS_BYTES 200

/* ---- what is named ---- */

static char *
name_of(const struct bkp_reference_config *config, struct bkp_error *err)
{
	size_t skip = strlen(config->path) + 1;

	if (config->column != NULL)
		return bkp_format(err, "%s/references/%s", config->path,
		    config->column + skip);
	return bkp_format(err, "%s/references/%s: %s", config->path,
	    config->table + skip, config->key);
}

int
bkp_references_new(const struct bkp_config *config, struct bkp_references *out,
    struct bkp_error *err)
{
	struct bkp_references references = {.config = config};

	references.items = bkp_alloc_array(
	    config->reference_count, sizeof(*references.items), err);
	if (references.items == NULL)
		return -1;
	for (; references.count < config->reference_count; references.count++) {
		struct bkp_reference *it = &references.items[references.count];

		it->config = &config->references[references.count];
		if ((it->name = name_of(it->config, err)) == NULL) {
			bkp_references_free(&references);
			return -1;
		}
	}
	*out = references;
	return 0;
}

void
bkp_references_free(struct bkp_references *references)
{
	for (size_t i = 0; i < references->count; i++) {
		free(references->items[i].name);
		free(references->items[i].why);
		free(references->items[i].lacks);
		bkp_named_free(references->items[i].named);
	}
	free(references->items);
	*references = (struct bkp_references){.items = NULL};
}

static int __attribute__((format(printf, 3, 0)))
settle(struct bkp_reference *reference, enum bkp_reference_state state,
    const char *format, va_list ap, struct bkp_error *err)
{
	char text[BKP_ERROR_MESSAGE];

	(void)vsnprintf(text, sizeof(text), format, ap);
	free(reference->why);
	reference->why = bkp_strdup(text, err);
	reference->state = state;
	return reference->why != NULL ? 0 : -1;
}

int
bkp_reference_skip(struct bkp_reference *reference, struct bkp_error *err,
    const char *format, ...)
{
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = settle(reference, BKP_REFERENCE_SKIPPED, format, ap, err);
	va_end(ap);
	return rc;
}

int
bkp_reference_fail(struct bkp_reference *reference, struct bkp_error *err,
    const char *format, ...)
{
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = settle(reference, BKP_REFERENCE_FAILED, format, ap, err);
	va_end(ap);
	return rc;
}

/* ---- a database ---- */

static bool
is_waiting(const struct bkp_reference *reference, const char *path)
{
	return reference->state == BKP_REFERENCE_WAITING &&
	       strcmp(reference->config->path, path) == 0;
}

/* A standby has no rows of unlogged tables and does not plan to read them: that
 * is no mistake in the configuration, and the backup leaves the rows out. */
static bool
is_of_a_standby(const struct bkp_error *why, struct bkp_pg *pg)
{
	char *answer = NULL;
	bool is_standby;

	if (why->code == BKP_UNSUPPORTED)
		answer = bkp_pg_text(
		    pg, "SELECT pg_catalog.pg_is_in_recovery()", NULL);
	is_standby = answer != NULL && answer[0] == 't';
	free(answer);
	return is_standby;
}

static int
check_one(struct bkp_reference *it, struct bkp_pg *pg, const char *file,
    struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_reference_explain(it->config, pg, &why) == 0)
		return 0;
	if (is_of_a_standby(&why, pg))
		return bkp_reference_fail(
		    it, err, "a standby cannot tell: %s", why.message);
	if (err != NULL)
		*err = why;
	return bkp_fail_in(err, "%s:%u: the reference %s", file,
	    it->config->line,
	    it->config->column != NULL ? it->config->column
				       : it->config->table);
}

int
bkp_references_check(struct bkp_references *references, const char *path,
    struct bkp_pg *pg, struct bkp_error *err)
{
	for (size_t i = 0; i < references->count; i++)
		if (is_waiting(&references->items[i], path) &&
		    check_one(&references->items[i], pg,
			references->config->path, err) < 0)
			return -1;
	return 0;
}

/* What says nothing of the reference. */
static bool
is_of_the_run(const struct bkp_error *why, const struct bkp_pg *pg)
{
	return why->code == BKP_CANCELLED || why->code == BKP_NOMEM ||
	       PQstatus(pg->conn) != CONNECTION_OK;
}

struct looking {
	const struct bkp_references *references;
	struct bkp_reference *reference;
};

/* The first few that lack rows are named. */
static int
look_at_table(
    void *arg, const char *schema, const char *table, struct bkp_error *err)
{
	const struct looking *looking = arg;
	const struct bkp_references *references = looking->references;
	struct bkp_reference *reference = looking->reference;
	char *longer;
	int lacks = references->lacks(
	    references->lacks_arg, reference->config, schema, table, err);

	if (lacks <= 0 || (reference->lacks != NULL &&
			      strlen(reference->lacks) > LACKS_BYTES))
		return lacks < 0 ? -1 : 0;
	longer = bkp_format(err, "%s%s%s.%s",
	    reference->lacks != NULL ? reference->lacks : "",
	    reference->lacks != NULL ? ", " : "", schema, table);
	if (longer == NULL)
		return -1;
	free(reference->lacks);
	reference->lacks = longer;
	return 0;
}

static int
read_one(const struct bkp_references *references,
    struct bkp_reference *reference, struct bkp_pg *pg, struct bkp_error *err)
{
	struct looking looking = {references, reference};
	struct bkp_reference_reader reader = {
	    .each = references->lacks != NULL ? look_at_table : NULL,
	    .arg = &looking};
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_named_new(&reference->named, err) < 0)
		return -1;
	reader.named = reference->named;
	if (bkp_reference_query(reference->config, pg, &reader, &why) == 0) {
		reference->state = BKP_REFERENCE_READ;
		return 0;
	}
	if (is_of_the_run(&why, pg)) {
		if (err != NULL)
			*err = why;
		return bkp_fail_in(err, "%s", reference->name);
	}
	return bkp_reference_fail(reference, err, "%s (%s, line %u)",
	    why.message, references->config->path, reference->config->line);
}

int
bkp_references_read(struct bkp_references *references, const char *path,
    struct bkp_pg *pg, struct bkp_error *err)
{
	for (size_t i = 0; i < references->count; i++)
		if (is_waiting(&references->items[i], path) &&
		    read_one(references, &references->items[i], pg, err) < 0)
			return -1;
	return 0;
}

/* ---- a bucket ---- */

int
bkp_reference_bucket_begin(struct bkp_references *references,
    const char *prefix, struct bkp_reference_bucket *out, struct bkp_error *err)
{
	struct bkp_reference_bucket bucket = {
	    .references = references, .prefix = prefix, .is_whole = true};
	size_t count = 0;

	bucket.named =
	    bkp_alloc_array(references->count, sizeof(*bucket.named), err);
	if (bucket.named == NULL)
		return -1;
	for (size_t i = 0; i < references->count; i++) {
		const struct bkp_reference *it = &references->items[i];

		if (strcmp(it->config->bucket, prefix) != 0)
			continue;
		if (it->state == BKP_REFERENCE_READ)
			bucket.named[count++] = it->named;
		if (it->state != BKP_REFERENCE_READ || it->lacks != NULL)
			bucket.is_whole = false;
	}
	if (count > 0 &&
	    bkp_match_new(bucket.named, count, &bucket.match, err) < 0) {
		free(bucket.named);
		return -1;
	}
	*out = bucket;
	return 0;
}

void
bkp_reference_bucket_free(struct bkp_reference_bucket *bucket)
{
	bkp_match_free(bucket->match);
	free(bucket->named);
	*bucket = (struct bkp_reference_bucket){.match = NULL};
}

int
bkp_reference_bucket_see(
    void *arg, const struct fmt_entry *entry, struct bkp_error *err)
{
	struct bkp_reference_bucket *bucket = arg;
	size_t len = strlen(bucket->prefix);

	if (bucket->match == NULL || !entry->has_content ||
	    strncmp(entry->path, bucket->prefix, len) != 0 ||
	    entry->path[len] != '/')
		return 0;
	return bkp_match_see(bucket->match, entry->path + len + 1, err);
}

int
bkp_reference_bucket_finish(
    struct bkp_reference_bucket *bucket, struct bkp_error *err)
{
	struct bkp_references *references = bucket->references;

	if (bucket->match == NULL)
		return 0;
	if (bkp_match_finish(bucket->match, err) < 0)
		return -1;
	for (size_t i = 0; i < references->count; i++)
		if (references->items[i].state == BKP_REFERENCE_READ &&
		    strcmp(references->items[i].config->bucket,
			bucket->prefix) == 0)
			references->items[i].state = BKP_REFERENCE_MATCHED;
	return 0;
}

/* ---- words ---- */

/* Appends ": 'a', 'b' and 3 more". */
static enum fmt_status
append_shown(struct fmt_buf *out, const struct bkp_key_tally *tally)
{
	enum fmt_status status = FMT_OK;
	size_t before = out->len, i;

	for (i = 0; i < tally->shown_count && status == FMT_OK; i++) {
		if (i > 0 &&
		    out->len - before + strlen(tally->shown[i]) > SHOWN_BYTES)
			break;
		status = fmt_buf_printf(
		    out, "%s '%s'", i == 0 ? ":" : ",", tally->shown[i]);
	}
	if (status == FMT_OK && i < tally->missing)
		status = fmt_buf_printf(out, " and %llu more",
		    (unsigned long long)(tally->missing - i));
	return status;
}

static char *
take_text(struct fmt_buf *buf, enum fmt_status status, struct bkp_error *err)
{
	const char *text = status == FMT_OK ? fmt_buf_text(buf) : NULL;
	char *copy = NULL;

	if (text != NULL)
		copy = bkp_strdup(text, err);
	else
		(void)bkp_fail_nomem(err, "telling of keys");
	fmt_buf_free(buf);
	return copy;
}

bool
bkp_reference_is_broken(const struct bkp_reference *reference)
{
	return bkp_named_tally(reference->named)->missing >
	       reference->config->missing;
}

char *
bkp_reference_tell(const struct bkp_reference *reference, struct bkp_error *err)
{
	const struct bkp_key_tally *tally = bkp_named_tally(reference->named);
	const char *bucket = reference->config->bucket;
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status;

	if (tally->count == 0)
		status = fmt_buf_printf(
		    &text, "no row names an object of %s", bucket);
	else if (tally->missing == 0)
		status = fmt_buf_printf(&text, "%s, each of an object in %s",
		    bkp_counted(tally->count, "key").text, bucket);
	else
		status = fmt_buf_printf(&text,
		    "%llu of %s %s of no object in "
		    "%s",
		    (unsigned long long)tally->missing,
		    bkp_counted(tally->count, "key").text,
		    bkp_are(tally->missing), bucket);
	if (status == FMT_OK && tally->missing > 0 &&
	    reference->config->missing > 0)
		status = fmt_buf_printf(&text, " (%s %u accepted)",
		    bkp_reference_is_broken(reference) ? "only" : "up to",
		    reference->config->missing);
	if (status == FMT_OK)
		status = append_shown(&text, tally);
	return take_text(&text, status, err);
}

char *
bkp_reference_bucket_tell(
    const struct bkp_reference_bucket *bucket, struct bkp_error *err)
{
	const struct bkp_key_tally *orphans = bkp_match_orphans(bucket->match);
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status;

	if (orphans->missing == 0)
		status = fmt_buf_printf(&text, "%s, none that no row names",
		    bkp_counted(orphans->count, "object").text);
	else
		status = fmt_buf_printf(&text, "%llu of %s %s named by no row",
		    (unsigned long long)orphans->missing,
		    bkp_counted(orphans->count, "object").text,
		    bkp_are(orphans->missing));
	if (status == FMT_OK)
		status = append_shown(&text, orphans);
	return take_text(&text, status, err);
}
