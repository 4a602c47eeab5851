/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration's own assertions, about the places of a verification. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/verify_impl.h"

static int
skip(struct bkp_verify *verify, struct bkp_assertion *it, const char *why,
    struct bkp_error *err)
{
	it->is_judged = true;
	return bkp_verdict_add(
	    verify->verdict, BKP_CHECK_SKIP, err, it->name, "%s", why);
}

static int
judge(struct bkp_verify *verify, struct bkp_assertion *it,
    const struct bkp_source_config *place, struct bkp_error *err)
{
	struct fmt_buf what = FMT_BUF_INIT;
	const char *text = NULL;
	int holds, rc = -1;

	bkp_run_phase(verify->run, 0, 0, "%s", it->name);
	if (it->sql != NULL)
		holds = bkp_assertion_ask(
		    it, &place->postgres, verify->run, &what, err);
	else
		holds = bkp_assertion_run(
		    it, place, verify->opened.name, verify->run, &what, err);
	if (holds >= 0 && (text = fmt_buf_text(&what)) == NULL)
		(void)bkp_fail_nomem(err, "judging an assertion");
	if (text != NULL)
		rc = bkp_verdict_add(verify->verdict,
		    holds == 1 ? BKP_CHECK_PASS : BKP_CHECK_FAIL, err, it->name,
		    "%s", text);
	it->is_judged = true;
	fmt_buf_free(&what);
	return rc;
}

/* Whether a database (its path) is without rows that the backup left out. */
static int
lacks_rows(struct bkp_verify *verify, const char *path, struct bkp_error *err)
{
	char *data = bkp_format(err, "%s/data", path);
	int lacks =
	    data != NULL ? bkp_verify_lacks_rows(verify, data, err) : -1;

	free(data);
	return lacks;
}

/* The same of any database of a source. */
static int
lacks_any_rows(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_error *err)
{
	const json_t *list = json_object_get(chosen->source->info, "databases");
	int lacks = 0;

	for (size_t i = 0; lacks == 0 && i < json_array_size(list); i++) {
		const char *path = json_string_value(
		    json_object_get(json_array_get(list, i), "path"));

		if (path != NULL)
			lacks = lacks_rows(verify, path, err);
	}
	return lacks;
}

/* Why it cannot be judged in *why; NULL where it can. */
static int
find_obstacle(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    const struct bkp_supply *supply, const struct bkp_assertion_config *config,
    const char **why, struct bkp_error *err)
{
	int lacks;

	*why = NULL;
	if (config->database_name == NULL) {
		lacks = lacks_any_rows(verify, chosen, err);
		if (!bkp_supply_is_selected(supply, config->prefix))
			*why = "no more than a part of its source was restored";
		else if (lacks > 0)
			*why = "tables of its source have no rows, which were "
			       "left out when the backup was made";
		return lacks < 0 ? -1 : 0;
	}
	*why = bkp_verify_lacks_database(verify, chosen, config->path);
	if (*why != NULL)
		return 0;
	lacks = lacks_rows(verify, config->path, err);
	if (lacks > 0)
		*why = "tables of its database have no rows, which were left "
		       "out when the backup was made";
	return lacks < 0 ? -1 : 0;
}

int
bkp_verify_assertions(struct bkp_verify *verify,
    const struct bkp_chosen *chosen, struct bkp_supply *supply,
    const struct bkp_source_config *place, struct bkp_error *err)
{
	for (size_t i = 0; i < verify->assertions.count; i++) {
		struct bkp_assertion *it = &verify->assertions.items[i];
		const char *why;
		int rc;

		if (it->is_judged ||
		    strcmp(it->config->prefix, chosen->source->prefix) != 0)
			continue;
		if (find_obstacle(
			verify, chosen, supply, it->config, &why, err) < 0)
			return -1;
		rc = why != NULL ? skip(verify, it, why, err)
				 : judge(verify, it, place, err);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int
bkp_verify_skip_assertions(struct bkp_verify *verify, struct bkp_error *err)
{
	const char *why = verify->options->mode == BKP_VERIFY_LIVE
			      ? "is asserted of what was restored, not of a "
				"place in use"
			      : "its source was not restored into a place";

	for (size_t i = 0; i < verify->assertions.count; i++) {
		struct bkp_assertion *it = &verify->assertions.items[i];

		if (!it->is_judged && skip(verify, it, why, err) < 0)
			return -1;
	}
	return 0;
}
