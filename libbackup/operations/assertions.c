/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/assertions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/child.h"
#include "libbackup/base/fail.h"

#define SQL_MAX ((size_t)1024 * 1024) /* bytes of a file */

/* ---- what is to be run ---- */

static int
read_file(const char *path, char **out, struct bkp_error *err)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t len = 0;
	int rc = -1;

	if (file == NULL)
		return bkp_fail_errno(err, errno, "%s", path);
	if ((text = bkp_alloc(SQL_MAX + 1, err)) == NULL)
		goto out;
	len = fread(text, 1, SQL_MAX + 1, file);
	if (ferror(file))
		(void)bkp_fail_errno(err, errno, "%s", path);
	else if (len > SQL_MAX)
		(void)bkp_fail(err, BKP_INVALID, "%s: has more than %zu bytes",
		    path, SQL_MAX);
	else if (memchr(text, '\0', len) != NULL)
		(void)bkp_fail(err, BKP_INVALID, "%s: is no text", path);
	else if (text[strspn(text, " \t\r\n;")] == '\0')
		(void)bkp_fail(err, BKP_INVALID, "%s: is empty", path);
	else
		rc = (*out = bkp_strdup(text, err)) != NULL ? 0 : -1;
out:
	free(text);
	(void)fclose(file);
	return rc;
}

static int
find_program(const char *name, struct bkp_error *err)
{
	char *program = bkp_child_find(name, err);
	int rc = 0;

	if (program == NULL)
		return -1;
	if (access(program, X_OK) < 0)
		rc = bkp_fail_errno(err, errno, "%s", program);
	free(program);
	return rc;
}

static int
prepare(struct bkp_assertion *it, struct bkp_error *err)
{
	const struct bkp_assertion_config *config = it->config;

	if (config->sql != NULL)
		return read_file(config->sql, &it->sql, err);
	if (config->query != NULL)
		return (it->sql = bkp_strdup(config->query, err)) != NULL ? 0
									  : -1;
	return find_program(config->run.items[0], err);
}

int
bkp_assertions_new(const struct bkp_config *config, struct bkp_assertions *out,
    struct bkp_error *err)
{
	struct bkp_assertions all = {
	    .items = bkp_alloc_array(
		config->assertion_count, sizeof(*all.items), err)};

	if (all.items == NULL)
		return -1;
	for (size_t i = 0; i < config->assertion_count; i++) {
		struct bkp_assertion *it = &all.items[all.count++];

		it->config = &config->assertions[i];
		it->name = bkp_format(err, "assertions/%s", it->config->name);
		if (it->name == NULL)
			goto fail;
		if (prepare(it, err) == 0)
			continue;
		if (err != NULL && err->code != BKP_NOMEM)
			err->code = BKP_INVALID;
		(void)bkp_fail_in(err, "%s:%u: the assertion '%s'",
		    config->path, it->config->line, it->config->name);
		goto fail;
	}
	*out = all;
	return 0;
fail:
	bkp_assertions_free(&all);
	return -1;
}

void
bkp_assertions_free(struct bkp_assertions *assertions)
{
	for (size_t i = 0; i < assertions->count; i++) {
		free(assertions->items[i].name);
		free(assertions->items[i].sql);
	}
	free(assertions->items);
	*assertions = (struct bkp_assertions){.items = NULL};
}
