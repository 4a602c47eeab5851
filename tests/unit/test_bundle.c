/* SPDX-License-Identifier: Apache-2.0 */
/* What is given away to whoever helps holds no secret; and where it would, it
 * is not given away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/doctor/bundle.h"
#include "libbackup/doctor/phrases.h"

#define PASSWORD "Tr0ub4dor&3/\"correct\" horse"

/* ---- the redactor ---- */

static struct bkp_redactor *
redactor_with(const char *secret)
{
	struct bkp_redactor *redactor = NULL;

	assert_int_equal(bkp_redactor_new(&redactor, NULL), 0);
	assert_int_equal(
	    bkp_redactor_secret(redactor, "sources/password", secret, NULL), 0);
	return redactor;
}

static char *
redact(struct bkp_redactor *redactor, const char *text)
{
	struct fmt_buf out = FMT_BUF_INIT;
	char *copy;

	assert_int_equal(bkp_redactor_text(redactor, text, &out, NULL), 0);
	copy = bkp_strdup(fmt_buf_text(&out), NULL);
	fmt_buf_free(&out);
	return copy;
}

static void
assert_redacted(const char *text, const char *expected)
{
	struct bkp_redactor *redactor = redactor_with(PASSWORD);
	char *told;

	assert_int_equal(bkp_redactor_rename(redactor, "postgres/app",
			     "postgres/source-1", NULL),
	    0);
	assert_non_null(bkp_redactor_alias(redactor, "database", "shop", NULL));
	told = redact(redactor, text);
	assert_string_equal(told, expected);
	free(told);
	bkp_redactor_free(redactor);
}

static void
names_are_replaced_and_words_stay(void **state)
{
	(void)state;
	assert_redacted("postgres/app: shop has 3 tables, 45% of 1.5 GiB",
	    "postgres/source-1: database-1 has 3 tables, 45% of 1.5 GiB");
	assert_redacted("database \"shop\" on db1.example.com (10.0.0.5), port "
			"5432",
	    "database \"database-1\" on name-1 (name-2), port 5432");
	assert_redacted("/srv/backup and /srv/backup: Permission denied",
	    "path-1: path-1; Permission denied");
	assert_redacted("postgres/app/shop/data: a.user@example.com",
	    "postgres/source-1/name-1");
	assert_redacted("PostgreSQL 15.18 (Debian 15.18-0+deb12u1) at 03:15:00",
	    "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) at 03:15:00");
	assert_redacted(
	    "GET s3://uploads/a/b.jpg: https://x.org/?a=b", "GET url-1");
	assert_redacted("host's key of \x0emy, own name\x0f is max_locks",
	    "host's key of name-1 is max_locks");
}

/* Names may have anything in them: blanks, colons, quotes. */
static void
a_path_is_taken_out_to_its_end(void **state)
{
	(void)state;
	assert_redacted("opening /srv/Mrs Huber, IBAN DE12: 3456: No space "
			"left on device",
	    "opening path-1: No space left on device");
	assert_redacted("postgres/app/Mrs Huber 4711: is a socket",
	    "postgres/source-1/name-1: is a socket");
	assert_redacted("GET s3://up/Mrs Huber: HTTP 403 AccessDenied",
	    "GET url-1: HTTP 403; AccessDenied");
	assert_redacted("\x0e/srv/Mrs Huber\x0f is full, /srv/Mrs Huber too",
	    "name-1 is full, name-1 too");
	assert_redacted(
	    "/srv/huber: Permission denied", "path-1: Permission denied");
	assert_redacted("Input/output error", "Input/output error");
}

static void
what_others_said_is_told_in_phrases(void **state)
{
	(void)state;
	assert_redacted("no way in: \x11"
			"connecting to PostgreSQL: role \"huber\" does not "
			"exist (Key (a)=(Huber)): timeout expired\x12",
	    "no way in: connecting to PostgreSQL; role \"*\" does not exist; "
	    "Key (");
	assert_redacted("\x11nobody knows Mrs Huber\x12", "(something else)");
}

static char *
phrases_of(const char *text)
{
	struct bkp_redactor *redactor = redactor_with(PASSWORD);
	struct fmt_buf out = FMT_BUF_INIT;
	char *copy;

	assert_non_null(bkp_redactor_alias(redactor, "database", "shop", NULL));
	assert_int_equal(bkp_phrases(redactor, text, &out, NULL), 0);
	assert_int_equal(fmt_buf_append_byte(&out, '\0'), FMT_OK);
	copy = bkp_strdup((const char *)out.data, NULL);
	fmt_buf_free(&out);
	bkp_redactor_free(redactor);
	return copy;
}

static void
of_a_failure_its_shape_is_told(void **state)
{
	static const struct {
		const char *text, *told;
	} cases[] = {
	    {"sh: exit status 1: timed out: row (4711, Anna)", "exit status 1"},
	    {"backup-create ended with exit status 2 and told no result",
		"backup-create; exit status 2 and told no result"},
	    {"sh was ended by signal 9 (Killed): Anna timed out",
		"ended by signal 9"},
	    {"exit status 4711: x", ""},
	    {"/srv/Mrs Huber is empty", "is empty"},
	    {"backup-createanna: xbackup-create", ""},
	    {"left out: files/a/Mrs Huber: Permission denied",
		"left out; Permission denied"},
	    {"shop: No space left on device, shops",
		"database-1; No space left on device"},
	    {"duplicate key value violates unique constraint \"a\" "
	     "(Key (iban)=(DE12)); already exists",
		"duplicate key value violates unique constraint; Key ("}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *told = phrases_of(cases[i].text);

		assert_string_equal(told, cases[i].told);
		free(told);
	}
}

static void
what_looks_like_a_secret_is_taken_for_one(void **state)
{
	(void)state;
	assert_redacted("password=hunter2 user=shop PGPASSWORD=x: y",
	    "password=[secret] user=database-1 PGPASSWORD=[secret]: [secret]");
	assert_redacted("secret_key: wJalrXUt, Authorization: Bearer abc.def",
	    "secret_key: [secret], Authorization: [secret] [secret]");
	assert_redacted("it was password: \"a b c\" then",
	    "it was password: \"[secret]\" then");
	assert_redacted(
	    "AKIAIOSFODNN7EXAMPLE12 and AGE-SECRET-KEY-1QQPQ2QZ9RY8",
	    "key-1 and key-2");
}

static void
a_known_secret_is_found_in_every_form(void **state)
{
	const struct bkp_redact_form *form = bkp_redact_forms;
	struct bkp_redactor *redactor = redactor_with(PASSWORD);
	int forms = 0;

	(void)state;
	for (; form->name != NULL; form++, forms++) {
		struct fmt_buf text = FMT_BUF_INIT;
		struct bkp_error err = BKP_ERROR_INIT;
		char *told;

		assert_int_equal(fmt_buf_append_text(&text, "before "), FMT_OK);
		assert_int_equal(
		    form->write(PASSWORD, strlen(PASSWORD), &text), FMT_OK);
		assert_int_equal(fmt_buf_append_text(&text, " after"), FMT_OK);
		assert_int_equal(bkp_redactor_scan(redactor, "findings.json",
				     text.data, text.len, &err),
		    -1);
		assert_int_equal(err.code, BKP_AUTH);
		assert_non_null(strstr(err.message, "sources/password"));
		assert_non_null(strstr(err.message, "findings.json"));
		assert_null(strstr(err.message, "Tr0ub"));
		told = redact(redactor, fmt_buf_text(&text));
		assert_int_equal(
		    bkp_redactor_scan(redactor, "x", told, strlen(told), NULL),
		    0);
		assert_non_null(strstr(told, "before"));
		free(told);
		fmt_buf_free(&text);
	}
	assert_true(forms >= 10);
	bkp_redactor_free(redactor);
}

static void
halves_and_wrapped_lines_are_found(void **state)
{
	static const char *const leaks[] = {"Tr0ub4dor&3/\"",
	    "x=correct\" horse", "Tr0ub4dor\n  &3/\"cor\n  rect\" horse",
	    "VHIwdWI0ZG\r\n9yJjMvImNv\r\ncnJlY3QiIG\r\nhvcnNl"};
	struct bkp_redactor *redactor = redactor_with(PASSWORD);

	(void)state;
	for (size_t i = 0; i < sizeof(leaks) / sizeof(leaks[0]); i++)
		if (bkp_redactor_scan(
			redactor, "x", leaks[i], strlen(leaks[i]), NULL) == 0)
			fail_msg("leak %zu was not found", i);
	assert_int_equal(
	    bkp_redactor_scan(redactor, "x", "correct", 7, NULL), 0);
	bkp_redactor_free(redactor);
}

static void
a_word_of_every_day_is_pardoned(void **state)
{
	static const char ours[] = "nothing of anybody: postgres";
	struct bkp_redactor *redactor = redactor_with("postgres");

	(void)state;
	assert_int_equal(
	    bkp_redactor_scan(redactor, "x", ours, strlen(ours), NULL), -1);
	assert_int_equal(
	    bkp_redactor_pardon(redactor, ours, strlen(ours), NULL), 0);
	assert_int_equal(
	    bkp_redactor_scan(redactor, "x", ours, strlen(ours), NULL), 0);
	bkp_redactor_free(redactor);
}

/* ---- bundles ---- */

static const char yaml[] =
    "repository: /srv/backup\n"
    "passphrase: quite-a-long-passphrase\n"
    "workers: 4\n"
    "retention: {keep_daily: 7, keep_within: 30d}\n"
    "secret_sauce: tomato-and-basil\n"
    "sources:\n"
    "  - postgres: app\n"
    "    conninfo: host=db1 port=5433 dbname=shop sslmode=require\n"
    "    password: Tr0ub4dor\n"
    "  - bucket: up\n"
    "    endpoint: https://minio.internal:9000\n"
    "    versions: all\n";

static int
make(const struct bkp_bundle_part *parts, char **text, struct bkp_error *err)
{
	static const struct bkp_symptom symptom = {"lock-table",
	    BKP_HEALTH_WARNING, "postgres/app",
	    "shop of db1 has \x0e"
	    "ledger\x0f and password Tr0ub4dor",
	    ""};
	struct bkp_bundle bundle = {
	    .symptoms = &symptom, .symptom_count = 1, .has_file = true};
	struct bkp_bundle_file files[BKP_BUNDLE_FILES];
	struct fmt_buf all = FMT_BUF_INIT;
	size_t count = 0;
	int rc;

	bundle.log = "backup-create: postgres/app: shop: password: Tr0ub4dor\n"
		     "somebody: quite-a-long-passphrase\n"
		     "Nov 22 03:00:01 db1 backup-run[7]: after: sh: token of "
		     "Huber\n"
		     "backup-create: files/etc/Mrs Huber of Huber: socket\n"
		     "backup-huber: backup-run\n";
	bundle.runs = json_pack("[{s:s, s:[{s:s, s:s}]}]", "error",
	    "sh: exit status 1: row (4711, Huber)", "steps", "name", "after",
	    "error", "left out: files/etc/Mrs Huber 4711: is a socket");
	assert_non_null(bundle.runs);
	bundle.file.path = bkp_strdup("backup.yaml", NULL);
	bundle.file.folder = bkp_strdup("/etc", NULL);
	assert_int_equal(
	    bkp_config_file_parse(&bundle.file, yaml, strlen(yaml), NULL), 0);
	rc = bkp_bundle_make(&bundle, parts, files, &count, err);
	for (size_t i = 0; i < count; i++)
		if (files[i].data.len > 0)
			assert_int_equal(
			    fmt_buf_append(
				&all, files[i].data.data, files[i].data.len),
			    FMT_OK);
	if (text != NULL)
		*text = bkp_strdup(fmt_buf_text(&all), NULL);
	fmt_buf_free(&all);
	bkp_bundle_files_free(files, count);
	json_decref(bundle.shape);
	json_decref(bundle.runs);
	bkp_config_file_close(&bundle.file);
	bkp_redactor_free(bundle.redactor);
	return rc;
}

static void
a_bundle_tells_shape_and_no_names(void **state)
{
	static const char *const absent[] = {"Tr0ub4dor", "shop", "db1",
	    "minio", "internal", "/srv", "tomato", "secret_sauce", "ledger",
	    "quite-a-long", "somebody:", "Huber", "huber", "4711", "Mrs"};
	static const char *const present[] = {"\"workers\": \"4\"",
	    "\"keep_within\": \"30d\"", "\"port\": \"5433\"",
	    "\"sslmode\": \"require\"", "\"versions\": \"all\"",
	    "https://host-2", "database-1", "postgres/source-1",
	    "\"password\": \"(secret)\"", "1 lines of other programs",
	    "Nov 22 03:00:01 backup-run", "\"exit status 1\"",
	    "left out; is a socket", "\"after\"", "\"(unknown keys)\": 1"};
	struct bkp_error err = BKP_ERROR_INIT;
	char *text = NULL;

	(void)state;
	if (make(bkp_bundle_parts, &text, &err) < 0)
		fail_msg("%s", err.message);
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		if (strstr(text, absent[i]) != NULL)
			fail_msg("%s is in\n%s", absent[i], text);
	for (size_t i = 0; i < sizeof(present) / sizeof(present[0]); i++)
		if (strstr(text, present[i]) == NULL)
			fail_msg("%s is not in\n%s", present[i], text);
	free(text);
}

/* Parts that forget the redactor. */
static int
leak_seen(struct bkp_bundle *bundle, struct fmt_buf *out, struct bkp_error *err)
{
	(void)err;
	return fmt_buf_append_text(out, bundle->symptoms[0].seen) == FMT_OK
		   ? 0
		   : -1;
}

static int
leak_log(struct bkp_bundle *bundle, struct fmt_buf *out, struct bkp_error *err)
{
	(void)err;
	return fmt_buf_append_text(out, bundle->log) == FMT_OK ? 0 : -1;
}

/* Only what is there: the canaries are not enough. */
static int
leak_passphrase(
    struct bkp_bundle *bundle, struct fmt_buf *out, struct bkp_error *err)
{
	const char *text = strstr(bundle->log, "quite-a-long");

	(void)err;
	if (text == NULL)
		return 0;
	return fmt_buf_append_text(out, text) == FMT_OK ? 0 : -1;
}

/* As it was once: what a hook prints looks like words of every day. */
static int
leak_runs(struct bkp_bundle *bundle, struct fmt_buf *out, struct bkp_error *err)
{
	return bkp_redactor_text(bundle->redactor,
	    json_string_value(
		json_object_get(json_array_get(bundle->runs, 0), "error")),
	    out, err);
}

static void
assert_refused(const struct bkp_bundle_part *leak, const char *field)
{
	struct bkp_bundle_part parts[] = {
	    bkp_bundle_parts[0], *leak, {NULL, NULL}};
	struct bkp_error err = BKP_ERROR_INIT;
	char *text = NULL;

	assert_int_equal(make(parts, &text, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	if (strstr(err.message, field) == NULL)
		fail_msg("'%s' does not name %s", err.message, field);
	assert_non_null(strstr(err.message, leak->name));
	assert_null(strstr(err.message, "quite-a-long"));
	assert_string_equal(text, "");
	free(text);
}

static void
a_part_that_leaks_is_refused_by_the_canaries(void **state)
{
	static const struct bkp_bundle_part seen = {"seen.txt", leak_seen},
					    log = {"log.txt", leak_log},
					    runs = {"runs.txt", leak_runs};

	(void)state;
	assert_refused(&seen, "the canary that was planted as");
	assert_refused(&log, "the canary that was planted as");
	assert_refused(&runs, "planted as the output of a hook");
}

static void
a_real_secret_is_refused_and_its_field_named(void **state)
{
	static const struct bkp_bundle_part part = {
	    "real.txt", leak_passphrase};

	(void)state;
	assert_refused(&part, "passphrase is in");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_replaced_and_words_stay),
	    cmocka_unit_test(a_path_is_taken_out_to_its_end),
	    cmocka_unit_test(what_others_said_is_told_in_phrases),
	    cmocka_unit_test(of_a_failure_its_shape_is_told),
	    cmocka_unit_test(what_looks_like_a_secret_is_taken_for_one),
	    cmocka_unit_test(a_known_secret_is_found_in_every_form),
	    cmocka_unit_test(halves_and_wrapped_lines_are_found),
	    cmocka_unit_test(a_word_of_every_day_is_pardoned),
	    cmocka_unit_test(a_bundle_tells_shape_and_no_names),
	    cmocka_unit_test(a_part_that_leaks_is_refused_by_the_canaries),
	    cmocka_unit_test(a_real_secret_is_refused_and_its_field_named),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
