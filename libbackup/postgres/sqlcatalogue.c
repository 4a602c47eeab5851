/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines are gathered into blocks, one an object; blocks into runs, each sorted
 * and packed when it is long enough; in the end the runs are merged.
 */
#include "libbackup/postgres/sqlcatalogue.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/packed.h"
#include "libbackup/postgres/sqltext.h"

#define RUN_BYTES (8u * 1024u * 1024u)

/* A run of lines that belong to one object. */
struct block {
	size_t start, len; /* in the text */
};

/* A sorted run, while it is merged: each block with its length before it. */
struct run {
	struct bkp_packed *packed;     /* owned */
	struct bkp_unpacked *unpacked; /* owned */
	const unsigned char *portion;  /* borrowed: what came and is not used */
	size_t left;
	struct fmt_buf block; /* the first that is not written */
	bool has_block;
};

struct bkp_sql_catalogue {
	struct fmt_buf line;  /* whose end has not come */
	struct fmt_buf block; /* that is being gathered */
	struct fmt_buf text;  /* of the blocks of the run */
	struct block *blocks;
	size_t block_count, block_cap;
	struct run *runs;
	size_t run_count, run_cap;
	struct fmt_buf room;
};

static int
fail_nomem(struct bkp_error *err)
{
	return bkp_fail_nomem(err, "sorting the schema");
}

int
bkp_sql_catalogue_new(struct bkp_sql_catalogue **out, struct bkp_error *err)
{
	struct bkp_sql_catalogue *catalogue =
	    bkp_alloc(sizeof(*catalogue), err);

	if (catalogue == NULL)
		return -1;
	catalogue->line = (struct fmt_buf)FMT_BUF_SECRET_INIT;
	catalogue->block = (struct fmt_buf)FMT_BUF_SECRET_INIT;
	catalogue->text = (struct fmt_buf)FMT_BUF_SECRET_INIT;
	catalogue->room = (struct fmt_buf)FMT_BUF_SECRET_INIT;
	*out = catalogue;
	return 0;
}

void
bkp_sql_catalogue_free(struct bkp_sql_catalogue *catalogue)
{
	if (catalogue == NULL)
		return;
	for (size_t i = 0; i < catalogue->run_count; i++) {
		bkp_unpacked_free(catalogue->runs[i].unpacked);
		bkp_packed_free(catalogue->runs[i].packed);
		fmt_buf_free(&catalogue->runs[i].block);
	}
	free(catalogue->runs);
	free(catalogue->blocks);
	fmt_buf_free(&catalogue->line);
	fmt_buf_free(&catalogue->block);
	fmt_buf_free(&catalogue->text);
	fmt_buf_free(&catalogue->room);
	free(catalogue);
}

/* ---- sorting ---- */

static int
compare_bytes(
    const unsigned char *a, size_t a_len, const unsigned char *b, size_t b_len)
{
	size_t len = a_len < b_len ? a_len : b_len;
	int order = len > 0 ? memcmp(a, b, len) : 0;

	return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int
compare_blocks(const void *a, const void *b, void *arg)
{
	const struct block *x = a, *y = b;
	const unsigned char *text = arg;

	return compare_bytes(text + x->start, x->len, text + y->start, y->len);
}

static void
sort_blocks(struct bkp_sql_catalogue *catalogue)
{
	if (catalogue->block_count > 0)
		qsort_r(catalogue->blocks, catalogue->block_count,
		    sizeof(*catalogue->blocks), compare_blocks,
		    catalogue->text.data);
}

/* Packs what was gathered so far, sorted, and begins anew. */
static int
pack_run(struct bkp_sql_catalogue *catalogue, struct bkp_error *err)
{
	struct run *run;
	int rc = 0;

	if (bkp_grow(&catalogue->runs, catalogue->run_count,
		&catalogue->run_cap, sizeof(*catalogue->runs), err) < 0)
		return -1;
	run = &catalogue->runs[catalogue->run_count];
	*run = (struct run){.block = FMT_BUF_SECRET_INIT};
	if (bkp_packed_new(&run->packed, err) < 0)
		return -1;
	catalogue->run_count++;
	sort_blocks(catalogue);
	for (size_t i = 0; rc == 0 && i < catalogue->block_count; i++) {
		const struct block *block = &catalogue->blocks[i];
		uint64_t len = block->len;

		rc = bkp_packed_write(run->packed, &len, sizeof(len), err);
		if (rc == 0)
			rc = bkp_packed_write(run->packed,
			    catalogue->text.data + block->start, block->len,
			    err);
	}
	catalogue->block_count = 0;
	fmt_buf_clear(&catalogue->text);
	return rc == 0 ? bkp_packed_end(run->packed, err) : -1;
}

/* ---- blocks ---- */

static bool
begins(const struct fmt_buf *line, const char *with)
{
	size_t need = strlen(with);

	return line->len >= need && memcmp(line->data, with, need) == 0;
}

/* The end of the first line. */
static size_t
first_line(const struct fmt_buf *text)
{
	const unsigned char *newline = memchr(text->data, '\n', text->len);

	return newline != NULL ? (size_t)(newline - text->data) + 1 : text->len;
}

static bool
is_acl(const struct fmt_buf *block)
{
	static const char *const types[] = {
	    "; Type: ACL;", "; Type: DEFAULT ACL;"};
	size_t len = first_line(block);

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (memmem(block->data, len, types[i], strlen(types[i])) !=
		    NULL)
			return true;
	return false;
}

/* The order of grants within an object tells nothing. */
static int
sort_lines(struct fmt_buf *block, struct bkp_error *err)
{
	size_t first = first_line(block), at = first, count = 0, cap = 0;
	struct fmt_buf sorted = FMT_BUF_SECRET_INIT;
	struct block *lines = NULL;
	enum fmt_status status = fmt_buf_append(&sorted, block->data, first);
	int rc = status == FMT_OK ? 0 : fail_nomem(err);

	while (rc == 0 && at < block->len) {
		const unsigned char *newline =
		    memchr(block->data + at, '\n', block->len - at);
		size_t end = newline != NULL ? (size_t)(newline - block->data)
					     : block->len;

		if (end > at && (rc = bkp_grow(&lines, count, &cap,
				     sizeof(*lines), err)) == 0)
			lines[count++] = (struct block){at, end - at};
		at = end + 1;
	}
	if (rc == 0 && count > 0)
		qsort_r(
		    lines, count, sizeof(*lines), compare_blocks, block->data);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (i > 0)
			status = fmt_buf_append_byte(&sorted, '\n');
		if (status == FMT_OK)
			status = fmt_buf_append(&sorted,
			    block->data + lines[i].start, lines[i].len);
		if (status != FMT_OK)
			rc = fail_nomem(err);
	}
	free(lines);
	if (rc < 0) {
		fmt_buf_free(&sorted);
		return -1;
	}
	fmt_buf_free(block);
	*block = sorted;
	return 0;
}

static int
end_block(struct bkp_sql_catalogue *catalogue, struct bkp_error *err)
{
	struct fmt_buf *block = &catalogue->block;
	int rc = 0;

	while (block->len > 0 && block->data[block->len - 1] == '\n')
		block->len--;
	if (block->len == 0)
		return 0;
	if (is_acl(block) && sort_lines(block, err) < 0)
		return -1;
	if (bkp_grow(&catalogue->blocks, catalogue->block_count,
		&catalogue->block_cap, sizeof(*catalogue->blocks), err) < 0)
		return -1;
	catalogue->blocks[catalogue->block_count] =
	    (struct block){catalogue->text.len, block->len};
	if (fmt_buf_append(&catalogue->text, block->data, block->len) != FMT_OK)
		return fail_nomem(err);
	catalogue->block_count++;
	fmt_buf_clear(block);
	if (catalogue->text.len >= RUN_BYTES)
		rc = pack_run(catalogue, err);
	return rc;
}

/* ---- lines ---- */

/* Lines that tell of the run and not of the schema: when and by what it was
 * dumped, and settings that depend on the order of the objects. */
static bool
is_of_the_run(const struct fmt_buf *line)
{
	static const char *const starts[] = {"\\restrict ", "\\unrestrict ",
	    "-- Dumped ", "-- Started on ", "-- Completed on ",
	    "-- PostgreSQL database dump", "SET default_tablespace = ",
	    "SET default_table_access_method = ", "SET statement_timeout = ",
	    "SET lock_timeout = ", "SET idle_in_transaction_session_timeout = ",
	    "SET transaction_timeout = ", "SET client_encoding = ",
	    "SET standard_conforming_strings = ",
	    "SET check_function_bodies = ", "SET xmloption = ",
	    "SET client_min_messages = ", "SET row_security = ",
	    "SELECT pg_catalog.set_config('search_path', '', false)"};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (begins(line, starts[i]))
			return true;
	return false;
}

/* Where an object lies is the server's matter: it may have no such
 * tablespace, and a scratch server never does. */
static size_t
without_tablespace(const char *line, size_t len)
{
	static const char owner[] = "; Owner: ", space[] = "; Tablespace: ";
	const char *at = memmem(line, len, owner, sizeof(owner) - 1);
	size_t before = at != NULL ? (size_t)(at - line) : len;

	at = memmem(line + before, len - before, space, sizeof(space) - 1);
	return at != NULL ? (size_t)(at - line) : len;
}

static int
take_line(struct bkp_sql_catalogue *catalogue, struct bkp_error *err)
{
	struct fmt_buf *line = &catalogue->line;
	size_t kept = line->len;
	enum fmt_status status;

	if ((begins(line, "-- Name: ") || begins(line, "-- Data for Name: ")) &&
	    end_block(catalogue, err) < 0)
		return -1;
	if (is_of_the_run(line) || line->len == 1 ||
	    (line->len == 3 && memcmp(line->data, "--\n", 3) == 0)) {
		fmt_buf_clear(line);
		return 0;
	}
	if (begins(line, "-- Name: "))
		kept = without_tablespace((const char *)line->data, line->len);
	status = fmt_buf_append(&catalogue->block, line->data, kept);
	if (status == FMT_OK && kept < line->len)
		status = fmt_buf_append_byte(&catalogue->block, '\n');
	fmt_buf_clear(line);
	return status == FMT_OK ? 0 : fail_nomem(err);
}

int
bkp_sql_catalogue_write(
    void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct bkp_sql_catalogue *catalogue = arg;
	const char *at = data, *end = at + len;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *next = newline != NULL ? newline + 1 : end;

		if (fmt_buf_append(&catalogue->line, at, (size_t)(next - at)) !=
		    FMT_OK)
			return fail_nomem(err);
		if (newline != NULL && take_line(catalogue, err) < 0)
			return -1;
		at = next;
	}
	return 0;
}

/* ---- the whole ---- */

static int
write_block(struct bkp_sql_catalogue *catalogue, const unsigned char *text,
    size_t len, bkp_bytes_fn *take, void *arg, struct bkp_error *err)
{
	struct fmt_buf *room = &catalogue->room;
	enum fmt_status status;

	fmt_buf_clear(room);
	status = bkp_sql_settle((const char *)text, len, room);
	if (status == FMT_OK)
		status = fmt_buf_append_text(room, "\n\n");
	if (status != FMT_OK)
		return fail_nomem(err);
	return take(arg, room->data, room->len, err);
}

/* So many bytes of a run, appended to `out`; fewer where it ends. */
static int
read_run(
    struct run *run, size_t len, struct fmt_buf *out, struct bkp_error *err)
{
	while (len > 0) {
		const void *data;
		size_t part;

		if (run->left == 0) {
			if (bkp_unpacked_next(
				run->unpacked, &data, &run->left, err) < 0)
				return -1;
			run->portion = data;
		}
		if (run->left == 0)
			return 0;
		part = len < run->left ? len : run->left;
		if (fmt_buf_append(out, run->portion, part) != FMT_OK)
			return fail_nomem(err);
		run->portion += part;
		run->left -= part;
		len -= part;
	}
	return 0;
}

static int
next_block(struct run *run, struct bkp_error *err)
{
	uint64_t len;

	fmt_buf_clear(&run->block);
	if (read_run(run, sizeof(len), &run->block, err) < 0)
		return -1;
	run->has_block = run->block.len == sizeof(len);
	if (!run->has_block)
		return 0;
	memcpy(&len, run->block.data, sizeof(len));
	fmt_buf_clear(&run->block);
	return read_run(run, (size_t)len, &run->block, err);
}

/* The run whose block comes first; NULL at the end. */
static struct run *
first_run(struct bkp_sql_catalogue *catalogue)
{
	struct run *first = NULL;

	for (size_t i = 0; i < catalogue->run_count; i++) {
		struct run *run = &catalogue->runs[i];

		if (run->has_block &&
		    (first == NULL ||
			compare_bytes(run->block.data, run->block.len,
			    first->block.data, first->block.len) < 0))
			first = run;
	}
	return first;
}

static int
merge(struct bkp_sql_catalogue *catalogue, bkp_bytes_fn *take, void *arg,
    struct bkp_error *err)
{
	struct run *run;

	fmt_buf_free(&catalogue->text);
	for (size_t i = 0; i < catalogue->run_count; i++)
		if (bkp_unpacked_new(catalogue->runs[i].packed,
			&catalogue->runs[i].unpacked, err) < 0 ||
		    next_block(&catalogue->runs[i], err) < 0)
			return -1;
	while ((run = first_run(catalogue)) != NULL)
		if (write_block(catalogue, run->block.data, run->block.len,
			take, arg, err) < 0 ||
		    next_block(run, err) < 0)
			return -1;
	return 0;
}

int
bkp_sql_catalogue_finish(struct bkp_sql_catalogue *catalogue,
    bkp_bytes_fn *take, void *arg, struct bkp_error *err)
{
	if (catalogue->line.len > 0 && take_line(catalogue, err) < 0)
		return -1;
	if (end_block(catalogue, err) < 0)
		return -1;
	if (catalogue->run_count > 0) {
		if (pack_run(catalogue, err) < 0)
			return -1;
		return merge(catalogue, take, arg, err);
	}
	sort_blocks(catalogue);
	for (size_t i = 0; i < catalogue->block_count; i++) {
		const struct block *block = &catalogue->blocks[i];

		if (write_block(catalogue, catalogue->text.data + block->start,
			block->len, take, arg, err) < 0)
			return -1;
	}
	return 0;
}
