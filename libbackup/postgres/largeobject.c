/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/largeobject.h"

#include <inttypes.h>
#include <stdio.h>

#include "libbackup/base/fail.h"

#define SLICE (1024 * 1024)

/* The results of what was sent; the last that has rows is *out. */
static int
collect(struct bkp_pg *pg, PGresult **out, struct bkp_error *err)
{
	PGresult *result = NULL;
	int rc = 0;

	for (;;) {
		if (bkp_pg_result(pg, &result, err) < 0)
			goto fail;
		if (result == NULL)
			break;
		if (rc == 0 && PQresultStatus(result) != PGRES_TUPLES_OK)
			rc = bkp_pg_fail(pg, result, err);
		PQclear(*out);
		*out = result;
	}
	if (rc == 0 && *out == NULL)
		rc = bkp_pg_fail(pg, NULL, err);
	if (rc == 0)
		return 0;
fail:
	PQclear(*out);
	*out = NULL;
	return -1;
}

/* One slice; its length in *len, below SLICE at the end. */
static int
read_slice(struct bkp_pg *pg, const char *oid, uint64_t offset, size_t *len,
    bkp_bytes_fn *take, void *arg, struct bkp_error *err)
{
	char offset_text[24];
	const char *values[] = {oid, offset_text};
	PGresult *result = NULL;
	int rc = 0;

	(void)snprintf(offset_text, sizeof(offset_text), "%" PRIu64, offset);
	if (!PQsendQueryParams(pg->conn,
		"SELECT lo_get($1::oid, $2::bigint, 1048576)", 2, NULL, values,
		NULL, NULL, 1))
		return bkp_pg_fail(pg, NULL, err);
	if (collect(pg, &result, err) < 0)
		return -1;
	*len = (size_t)PQgetlength(result, 0, 0);
	if (*len > 0)
		rc = take(arg, PQgetvalue(result, 0, 0), *len, err);
	PQclear(result);
	return rc;
}

int
bkp_pg_lo_read(struct bkp_pg *pg, const char *oid, bkp_bytes_fn *take,
    void *arg, struct bkp_error *err)
{
	uint64_t offset = 0;
	size_t len;

	do {
		if (read_slice(pg, oid, offset, &len, take, arg, err) < 0)
			return bkp_fail_in(err, "large object %s", oid);
		offset += len;
	} while (len == SLICE);
	return 0;
}

int
bkp_pg_lo_create(struct bkp_pg *pg, const char *oid, struct bkp_error *err)
{
	const char *values[] = {oid};
	PGresult *result = NULL;

	if (bkp_pg_query(
		pg, "SELECT lo_create($1::oid)", 1, values, &result, err) < 0)
		return bkp_fail_in(err, "large object %s", oid);
	PQclear(result);
	return 0;
}

int
bkp_pg_lo_write(struct bkp_pg *pg, const char *oid, uint64_t offset,
    const void *data, size_t len, struct bkp_error *err)
{
	const char *at = data;

	while (len > 0) {
		size_t part = len < SLICE ? len : SLICE;
		char offset_text[24];
		const char *values[] = {oid, offset_text, at};
		const int lengths[] = {0, 0, (int)part};
		const int formats[] = {0, 0, 1};
		PGresult *result = NULL;

		(void)snprintf(
		    offset_text, sizeof(offset_text), "%" PRIu64, offset);
		if (!PQsendQueryParams(pg->conn,
			"SELECT lo_put($1::oid, $2::bigint, $3::bytea)", 3,
			NULL, values, lengths, formats, 0))
			(void)bkp_pg_fail(pg, NULL, err);
		else if (collect(pg, &result, err) == 0) {
			PQclear(result);
			at += part;
			offset += part;
			len -= part;
			continue;
		}
		return bkp_fail_in(err, "large object %s", oid);
	}
	return 0;
}
