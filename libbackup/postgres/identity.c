/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/identity.h"

#include <stdlib.h>

/* Some providers take the function away. */
static int
may_ask(struct bkp_pg *pg, bool *out, struct bkp_error *err)
{
	char *text = bkp_pg_text(pg,
	    "SELECT pg_catalog.has_function_privilege("
	    "'pg_catalog.pg_control_system()', 'EXECUTE')",
	    err);

	if (text == NULL)
		return -1;
	*out = text[0] == 't';
	free(text);
	return 0;
}

int
bkp_pg_identity(struct bkp_pg *pg, char **out, struct bkp_error *err)
{
	bool may = false;

	if (may_ask(pg, &may, err) < 0)
		return -1;
	*out = NULL;
	if (!may)
		return 0;
	*out = bkp_pg_text(pg,
	    "SELECT system_identifier FROM pg_catalog.pg_control_system()",
	    err);
	return *out != NULL ? 0 : -1;
}
