/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/renamed.h"

#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"

#define NAME_MAX_BYTES 63

char *
bkp_pg_new_name(const char *name, const char *what, struct bkp_error *err)
{
	unsigned char random[4];
	char hex[2 * sizeof(random) + 1];
	size_t len = strlen(name);
	size_t room = NAME_MAX_BYTES - strlen(what) - sizeof(hex) - 1;
	enum fmt_status status = fmt_random(random, sizeof(random));

	if (status != FMT_OK) {
		(void)bkp_fail_format(err, status, "choosing a name");
		return NULL;
	}
	fmt_hex(random, sizeof(random), hex);
	if (len > room)
		for (len = room; len > 0 && (name[len] & 0xc0) == 0x80;)
			len--;
	return bkp_format(err, "%.*s.%s-%s", (int)len, name, what, hex);
}

static int
grow(char ***items, size_t count, struct bkp_error *err)
{
	char **more = realloc(*items, (count + 1) * sizeof(*more));

	if (more == NULL)
		return bkp_fail_nomem(err, "naming databases");
	*items = more;
	return 0;
}

int
bkp_pg_renamed_add(
    struct bkp_pg_renamed *renamed, const char *recorded, struct bkp_error *err)
{
	size_t n = renamed->count;

	if (grow(&renamed->recorded, n, err) < 0 ||
	    grow(&renamed->real, n, err) < 0)
		return -1;
	renamed->recorded[n] = bkp_strdup(recorded, err);
	renamed->real[n] = bkp_pg_new_name(recorded, "drill", err);
	renamed->count++;
	return renamed->recorded[n] != NULL && renamed->real[n] != NULL ? 0
									: -1;
}

void
bkp_pg_renamed_free(struct bkp_pg_renamed *renamed)
{
	for (size_t i = 0; i < renamed->count; i++) {
		free(renamed->recorded[i]);
		free(renamed->real[i]);
	}
	free(renamed->recorded);
	free(renamed->real);
	*renamed = (struct bkp_pg_renamed){NULL, NULL, 0};
}

const char *
bkp_pg_real_name(const struct bkp_pg_renamed *renamed, const char *recorded)
{
	for (size_t i = 0; renamed != NULL && i < renamed->count; i++)
		if (strcmp(renamed->recorded[i], recorded) == 0)
			return renamed->real[i];
	return recorded;
}

const char *
bkp_pg_recorded_name(const struct bkp_pg_renamed *renamed, const char *real)
{
	if (renamed == NULL)
		return real;
	for (size_t i = 0; i < renamed->count; i++)
		if (strcmp(renamed->real[i], real) == 0)
			return renamed->recorded[i];
	return NULL;
}
