/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_REFERENCES_QUERY_H
#define LIBBACKUP_OPERATIONS_REFERENCES_QUERY_H

/* A reference as a question to a database. */

#include "formats/buf.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/operations/named_keys.h"
#include "libbackup/postgres/session.h"

/* Appends the query of its keys: each once, sorted by the bytes that it has in
 * UTF-8. `encoding` is the database's. */
enum fmt_status bkp_reference_sql(const struct bkp_reference_config *config,
    const char *encoding, struct fmt_buf *out);

/* One row of COPY text of one column, with its newline, as the value that it
 * stands for, in place; answers how many bytes that has. */
size_t bkp_reference_value(char *row, size_t len);

/* Whether the server understands the query; nothing is read. BKP_INVALID where
 * not. Inside a transaction, which goes on also where it fails. */
int bkp_reference_explain(const struct bkp_reference_config *config,
    struct bkp_pg *pg, struct bkp_error *err);

struct bkp_reference_reader {
	struct bkp_named *named; /* borrowed: takes the keys */
	/* Hears then each table that they were read from, directly or not;
	 * NULL: nobody asks. */
	int (*each)(void *arg, const char *schema, const char *table,
	    struct bkp_error *err);
	void *arg;
};

/* Reads the keys, in the same way. */
int bkp_reference_query(const struct bkp_reference_config *config,
    struct bkp_pg *pg, const struct bkp_reference_reader *reader,
    struct bkp_error *err);

#endif
