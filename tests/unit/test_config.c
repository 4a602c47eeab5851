/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/base/config_impl.h"
#include "tests/unit/failing_alloc.h"

/* A folder of its own for every test, the current one while it runs. */
static char folder[64];

static void
write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
clear_environment(void)
{
	static const char *const names[] = {"BACKUP_CONFIG",
	    "BACKUP_REPOSITORY", "BACKUP_PASSPHRASE", "BACKUP_PASSPHRASE_FILE",
	    "XDG_CONFIG_HOME", "PGPASSWORD", "PGPASSWORD_FILE", "T_HOST",
	    "T_EMPTY", NULL};

	for (size_t i = 0; names[i] != NULL; i++)
		unsetenv(names[i]);
}

static int
enter_folder(void **state)
{
	(void)state;
	clear_environment();
	(void)snprintf(folder, sizeof(folder), "/tmp/bkp-config-XXXXXX");
	if (mkdtemp(folder) == NULL || chdir(folder) < 0)
		return -1;
	return setenv("HOME", folder, 1);
}

static int
leave_folder(void **state)
{
	char command[128];

	(void)state;
	clear_environment();
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static struct bkp_config *
load(const char *text)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;

	write_file("t.yaml", text, 0600);
	if (bkp_config_load("t.yaml", &config, &err) < 0)
		fail_msg("%s", err.message);
	return config;
}

/* The message with which the text is refused must begin with `message`. */
static void
refuse(const char *text, const char *message)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;

	write_file("t.yaml", text, 0600);
	assert_int_equal(bkp_config_load("t.yaml", &config, &err), -1);
	assert_null(config);
	assert_int_equal(err.code, BKP_INVALID);
	if (strncmp(err.message, message, strlen(message)) != 0)
		fail_msg("'%s' is not '%s'", err.message, message);
}

static const char whole[] =
    "repository: repo\n"
    "key_file: /etc/libbackup/host.key\n"
    "identity_file: ~/admin.key\n"
    "passphrase: horse\n"
    "workers: 3\n"
    "tags: [nightly, \"a b\"]\n"
    "storage: {endpoint: \"https://s3\", access_key: RA, secret_key: RS,\n"
    "          region: eu, virtual_host: true,\n"
    "          object_lock: {mode: compliance, days: 30}}\n"
    "sources:\n"
    "  - postgres: shop\n"
    "    conninfo: \"host=/run/postgresql dbname=shop\"\n"
    "    password_file: pg.secret\n"
    "    databases: [shop, crm]\n"
    "    bindir: /usr/lib/postgresql/15/bin\n"
    "    copy: binary\n"
    "  - bucket: uploads\n"
    "    endpoint: http://127.0.0.1:9000\n"
    "    bucket: prod-uploads\n"
    "    prefix: avatars/\n"
    "    region: eu-central-1\n"
    "    access_key: AK\n"
    "    secret_key: SK\n"
    "    session_token: ST\n"
    "    ca_file: ca.pem\n"
    "    virtual_host: true\n"
    "    signature: v2\n"
    "    accept_unverified_tls: true\n"
    "    scratch_bucket: yes\n"
    "    versions: all\n"
    "  - files: stack\n"
    "    paths: [/etc/app/, ./srv//compose/../x]\n"
    "    exclude: [\"*.tmp\"]\n"
    "    one_file_system: true\n"
    "    root: /mnt/host\n"
    "  - command: redis\n"
    "    run: [redis-cli, --rdb, /dev/stdout]\n"
    "    restore: [sh, -c, \"cat > dump.rdb\"]\n"
    "    output: dump.rdb\n"
    "retention:\n"
    "  keep_last: 1\n"
    "  keep_hourly: 0\n"
    "  keep_daily: 7\n"
    "  keep_weekly: 4\n"
    "  keep_monthly: 12\n"
    "  keep_yearly: 10\n"
    "  keep_within: 1m2w\n"
    "  keep_tags: [audit, legal]\n"
    "verification:\n"
    "  level: sample\n"
    "  budget: 30m\n"
    "  max_age: 1d2h\n"
    "  max_recovery: 90s\n"
    "  max_drop: 20%\n"
    "  heapallindexed: true\n";

static void
check_whole_sources(const struct bkp_config *config)
{
	const struct bkp_source_config *s = config->sources;
	char path[128];

	assert_string_equal(s[0].prefix, "bucket/uploads");
	assert_string_equal(s[0].name, "uploads");
	assert_int_equal(s[0].line, 17);
	assert_string_equal(s[0].bucket.bucket, "prod-uploads");
	assert_string_equal(s[0].bucket.endpoint, "http://127.0.0.1:9000");
	assert_string_equal(s[0].bucket.prefix, "avatars/");
	assert_string_equal(s[0].bucket.access_key, "AK");
	assert_string_equal(s[0].bucket.secret_key, "SK");
	assert_string_equal(s[0].bucket.session_token, "ST");
	assert_true(s[0].bucket.is_virtual_host);
	assert_true(s[0].bucket.is_v2);
	assert_true(s[0].bucket.accepts_unverified_tls);
	assert_true(s[0].bucket.has_scratch_bucket);
	assert_true(s[0].bucket.has_all_versions);
	assert_string_equal(s[1].prefix, "command/redis");
	assert_int_equal(s[1].command.run.count, 3);
	assert_string_equal(s[1].command.restore.items[2], "cat > dump.rdb");
	assert_string_equal(s[1].command.output, "dump.rdb");
	assert_string_equal(s[2].prefix, "files/stack");
	assert_int_equal(s[2].files.paths.count, 2);
	assert_string_equal(s[2].files.paths.items[0], "/etc/app");
	(void)snprintf(path, sizeof(path), "%s/srv/x", folder);
	assert_string_equal(s[2].files.paths.items[1], path);
	assert_string_equal(s[2].files.exclude.items[0], "*.tmp");
	assert_true(s[2].files.one_file_system);
	assert_string_equal(s[2].files.root, "/mnt/host");
	assert_string_equal(s[3].prefix, "postgres/shop");
	assert_string_equal(s[3].postgres.password, "pg secret");
	assert_int_equal(s[3].postgres.databases.count, 2);
	assert_string_equal(s[3].postgres.databases.items[1], "crm");
	assert_false(s[3].postgres.all_databases);
	assert_int_equal(s[3].postgres.copy, BKP_COPY_BINARY);
}

static void
check_whole_retention(const struct bkp_config *config)
{
	const struct bkp_retention_config *r = &config->retention;

	assert_int_equal(r->keep_last, 1);
	assert_int_equal(r->keep_hourly, 0);
	assert_int_equal(r->keep_daily, 7);
	assert_int_equal(r->keep_weekly, 4);
	assert_int_equal(r->keep_monthly, 12);
	assert_int_equal(r->keep_yearly, 10);
	assert_string_equal(r->keep_within, "1m2w");
	assert_int_equal(r->keep_tags.count, 2);
	assert_string_equal(r->keep_tags.items[1], "legal");
}

static void
check_whole_verification(const struct bkp_config *config)
{
	const struct bkp_verification_config *v = &config->verification;

	assert_int_equal(v->level, BKP_LEVEL_SAMPLE);
	assert_int_equal(v->budget_ms, 30 * 60 * 1000);
	assert_int_equal(v->max_age_ms, 26 * 3600 * 1000);
	assert_int_equal(v->max_recovery_ms, 90 * 1000);
	assert_int_equal(v->max_drop, 20);
	assert_true(v->is_heapallindexed);
}

static void
every_key_arrives_and_sources_are_sorted(void **state)
{
	struct bkp_keys keys = BKP_KEYS_INIT;
	struct bkp_config *config;
	char path[128];

	(void)state;
	write_file("pg.secret", "pg secret\n", 0600);
	config = load(whole);
	(void)snprintf(path, sizeof(path), "%s/repo", folder);
	assert_string_equal(bkp_config_repository(config), path);
	assert_string_equal(bkp_config_path(config), "t.yaml");
	bkp_config_keys(config, &keys);
	assert_string_equal(keys.key_file, "/etc/libbackup/host.key");
	(void)snprintf(path, sizeof(path), "%s/admin.key", folder);
	assert_string_equal(keys.identity_file, path);
	assert_string_equal(keys.passphrase, "horse");
	assert_int_equal(config->workers, 3);
	assert_int_equal(config->tags.count, 2);
	assert_string_equal(config->tags.items[1], "a b");
	assert_int_equal(config->source_count, 4);
	assert_ptr_equal(keys.storage, &config->storage);
	assert_string_equal(config->storage.bucket.endpoint, "https://s3");
	assert_string_equal(config->storage.bucket.access_key, "RA");
	assert_string_equal(config->storage.bucket.secret_key, "RS");
	assert_string_equal(config->storage.bucket.region, "eu");
	assert_true(config->storage.bucket.is_virtual_host);
	assert_int_equal(config->storage.lock_days, 30);
	assert_true(config->storage.is_compliance);
	check_whole_sources(config);
	check_whole_retention(config);
	check_whole_verification(config);
	assert_string_equal(bkp_config_source(config, 3), "postgres/shop");
	assert_null(bkp_config_source(config, 4));
	bkp_config_free(config);
}

static void
a_bucket_is_named_like_its_source_unless_told(void **state)
{
	struct bkp_config *config;

	(void)state;
	config = load("sources: [{bucket: a}, {bucket: b, bucket_name: c}]");
	assert_string_equal(config->sources[0].bucket.bucket, "a");
	assert_string_equal(config->sources[1].bucket.bucket, "c");
	bkp_config_free(config);
	refuse("sources: [{bucket: b, bucket: c, bucket_name: d}]\n",
	    "t.yaml:1: 'bucket_name' gives a second time");
	refuse("sources: [{bucket: b, bucket: c, bucket: d}]\n",
	    "t.yaml:1: 'bucket' is given twice");
}

static void
all_databases_is_a_word_of_its_own(void **state)
{
	struct bkp_config *config;

	(void)state;
	config = load("sources: [{postgres: a, databases: all}]");
	assert_true(config->sources[0].postgres.all_databases);
	assert_int_equal(config->sources[0].postgres.databases.count, 0);
	bkp_config_free(config);
	refuse("sources: [{postgres: a, databases: shop}]",
	    "t.yaml:1: 'databases' needs a list");
}

static void
variables_are_replaced_in_values(void **state)
{
	struct bkp_config *config;

	(void)state;
	setenv("T_HOST", "db:${X}", 1);
	setenv("T_EMPTY", "", 1);
	config = load("tags: [\"<${T_HOST}>\", \"${T_NONE:-a b}\", "
		      "\"${T_EMPTY:-c}${T_EMPTY}\", \"$1 $$ $${T_HOST} $\"]");
	assert_string_equal(config->tags.items[0], "<db:${X}>");
	assert_string_equal(config->tags.items[1], "a b");
	assert_string_equal(config->tags.items[2], "c");
	assert_string_equal(config->tags.items[3], "$1 $ ${T_HOST} $");
	bkp_config_free(config);
	refuse("workers: 1\ntags: [\"${T_NONE}\"]",
	    "t.yaml:2: the variable T_NONE is not set");
	refuse("tags: [\"${T_HOST\"]", "t.yaml:1: '${' without its '}'");
	refuse("tags: [\"${1x}\"]", "t.yaml:1: '${' begins a variable");
}

static void
a_misspelt_key_is_told_with_its_line_and_what_was_meant(void **state)
{
	(void)state;
	refuse("repository: r\nsources:\n  - postgres: a\n"
	       "    pasword_file: x\n",
	    "t.yaml:4: unknown key 'pasword_file'; did you mean "
	    "'password_file'?");
	refuse("repositroy: r\n", "t.yaml:1: unknown key 'repositroy'; did you "
				  "mean 'repository'?");
	refuse("colour: red\n",
	    "t.yaml:1: unknown key 'colour' in the configuration");
	refuse("sources:\n  - postgress: a\n",
	    "t.yaml:2: unknown kind of source 'postgress'; did you mean "
	    "'postgres'?");
	refuse("sources:\n  - ftp: a\n", "t.yaml:2: a source needs its kind");
}

static void
wrong_types_are_told_with_their_line(void **state)
{
	(void)state;
	refuse("repository: [a]\n",
	    "t.yaml:1: 'repository' needs a text, not a list or map");
	refuse("repository:\n", "t.yaml:1: 'repository' needs a text; it has");
	refuse("repository: ~\n", "t.yaml:1: 'repository' needs a text");
	refuse("repository: \"\"\n", "t.yaml:1: 'repository' is empty");
	refuse("tags: nightly\n", "t.yaml:1: 'tags' needs a list");
	refuse("workers: many\n", "t.yaml:1: 'workers' needs a number");
	refuse("workers: 0\n", "t.yaml:1: 'workers' needs a number");
	refuse("workers: 4x\n", "t.yaml:1: 'workers' needs a number");
	refuse("retention:\n  keep_daily: -1\n",
	    "t.yaml:2: 'keep_daily' needs a number from 0 to 100000");
	refuse("retention:\n  keep_daily: 100001\n",
	    "t.yaml:2: 'keep_daily' needs a number from 0 to 100000");
	refuse("retention:\n  keep_within: soon\n",
	    "t.yaml:2: 'keep_within': 'soon' is no duration");
	refuse("retention:\n  keep_dayly: 7\n",
	    "t.yaml:2: unknown key 'keep_dayly'; did you mean 'keep_daily'?");
	refuse("error_correction: 51%\n",
	    "t.yaml:1: 'error_correction' needs a percentage from 0% to 50%");
	refuse("error_correction: some\n",
	    "t.yaml:1: 'error_correction' needs a percentage");
	refuse("error_correction: 5%x\n",
	    "t.yaml:1: 'error_correction' needs a percentage");
	refuse("retention: 7\n", "t.yaml:1: 'retention' is made of");
	refuse("verification: {max_age: 30}\n",
	    "t.yaml:1: 'max_age': '30' is no time");
	refuse("verification: {max_drop: 0%}\n",
	    "t.yaml:1: 'max_drop' needs a percentage from 1% to 100%");
	refuse("verification: {max_drop: 101}\n",
	    "t.yaml:1: 'max_drop' needs a percentage");
	refuse("verification: {level: whole}\n",
	    "t.yaml:1: 'level' needs quick, sample or full");
	refuse("verification: {max_ages: 1d}\n",
	    "t.yaml:1: unknown key 'max_ages'; did you mean 'max_age'?");
	refuse("storage: {object_lock: {mode: never, days: 1}}\n",
	    "t.yaml:1: 'mode' needs governance or compliance");
	refuse("storage: {object_lock: {mode: compliance, days: 0}}\n",
	    "t.yaml:1: 'days' needs a number from 1 to 36500");
	refuse("storage: {object_lock: {mode: compliance}}\n",
	    "t.yaml:1: 'object_lock' needs 'days'");
	refuse("storage: {bucket: x}\n",
	    "t.yaml:1: unknown key 'bucket' in 'storage'");
	refuse("workers: 99999999999999999999\n",
	    "t.yaml:1: 'workers' needs a number");
	refuse("sources: {}\n", "t.yaml:1: 'sources' needs a list");
	refuse("sources: [postgres]\n", "t.yaml:1: a source needs its kind");
	refuse("[1, 2]\n", "t.yaml:1: the configuration is made of");
	refuse("sources:\n  - files: a\n    paths: [/a]\n"
	       "    one_file_system: 'yes'\n",
	    "t.yaml:4: 'one_file_system' needs true or false");
	refuse("sources:\n  - bucket: a\n    signature: v3\n",
	    "t.yaml:3: 'signature' needs v4 or v2");
	refuse("sources:\n  - postgres: a\n    copy: both\n",
	    "t.yaml:3: 'copy' needs text or binary");
	refuse("tags: [\"a\\0b\"]\n", "t.yaml:1: 'tags' needs a text");
	refuse("[a, b]: c\n", "t.yaml:1: a key is a word");
}

static void
duplicate_keys_and_sources_are_refused(void **state)
{
	(void)state;
	refuse("workers: 1\nkey_file: a\nworkers: 2\n",
	    "t.yaml:3: 'workers' is given twice; the first is on line 1");
	refuse("sources:\n  - postgres: a\n  - bucket: a\n  - postgres: a\n",
	    "t.yaml:4: there is a source postgres/a already, on line 2");
	refuse("sources:\n  - postgres: a\n    files: b\n",
	    "t.yaml:3: a source is of one kind: 'postgres' or 'files'");
}

static void
missing_keys_and_bad_names_are_told(void **state)
{
	(void)state;
	refuse("sources:\n  - files: a\n",
	    "t.yaml:2: a files source needs 'paths'");
	refuse("sources:\n  - files: a\n    paths: []\n",
	    "t.yaml:3: 'paths' is empty");
	refuse("sources:\n  - command: a\n    run: [b]\n",
	    "t.yaml:2: a command source needs 'output'");
	refuse("sources: [{command: a, run: [b], output: ../c}]\n",
	    "t.yaml:1: 'output' is the name of a file");
	refuse("sources: [{postgres: a/b}]\n", "t.yaml:1: the name 'a/b' may");
	refuse("sources: [{postgres: ..}]\n", "t.yaml:1: the name '..' may");
}

static void
a_password_in_conninfo_is_refused_and_not_repeated(void **state)
{
	static const char *const texts[] = {
	    "sources: [{postgres: a, conninfo: 'host=h password=hunter2'}]",
	    "sources: [{postgres: a, conninfo: 'postgresql://u:hunter2@h/d'}]",
	    "sources: [{postgres: a, conninfo: 'host=h hunter2'}]"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct bkp_error err = BKP_ERROR_INIT;
		struct bkp_config *config = NULL;

		write_file("t.yaml", texts[i], 0600);
		assert_int_equal(bkp_config_load("t.yaml", &config, &err), -1);
		assert_int_equal(err.code, BKP_INVALID);
		assert_non_null(strstr(err.message, "conninfo"));
		assert_null(strstr(err.message, "hunter2"));
	}
}

static void
secrets_are_given_once_and_their_files_are_there(void **state)
{
	(void)state;
	write_file("s", "x", 0600);
	refuse("sources:\n  - postgres: a\n    password: x\n"
	       "    password_file: s\n",
	    "t.yaml:4: 'password_file' gives a second time");
	refuse("passphrase_file: gone\n",
	    "t.yaml:1: reading the passphrase from /");
}

static void
a_file_with_a_secret_in_it_is_for_its_owner_alone(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;

	(void)state;
	write_file("t.yaml", "workers: 1\npassphrase: horse\n", 0644);
	assert_int_equal(bkp_config_load("t.yaml", &config, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	assert_non_null(strstr(err.message, "t.yaml:2: "));
	assert_non_null(strstr(err.message, "chmod 600"));
	assert_null(strstr(err.message, "horse"));

	write_file("s", "horse", 0644);
	write_file("t.yaml", "passphrase_file: s\n", 0644);
	assert_int_equal(bkp_config_load("t.yaml", &config, &err), 0);
	bkp_config_free(config);

	setenv("T_HOST", "horse", 1);
	write_file("t.yaml", "passphrase: ${T_HOST}\n", 0644);
	assert_int_equal(bkp_config_load("t.yaml", &config, &err), 0);
	assert_string_equal(config->passphrase, "horse");
	bkp_config_free(config);
}

static void
what_is_not_yaml_is_told_with_its_line(void **state)
{
	(void)state;
	refuse("workers: 1\n\ttags: [a]\n", "t.yaml:2: ");
	refuse("tags: [a, b\nworkers: 1\n", "t.yaml:2: ");
	refuse("tags: \"a\nworkers: 1\n", "t.yaml:");
	refuse("", "t.yaml is empty");
	refuse("# nothing\n", "t.yaml is empty");
	refuse("workers: 1\n---\nworkers: 2\n", "t.yaml:3: a second document");
	refuse("tags: *nobody\n", "t.yaml:1: ");
	refuse("tags: \xc3\x28\n", "t.yaml: ");
}

static void
anchors_and_aliases_work_and_a_loop_does_not_hang(void **state)
{
	struct bkp_config *config;

	(void)state;
	config = load("tags: &t [a, b]\nsources:\n"
		      "  - files: x\n    paths: [/x]\n    exclude: *t\n");
	assert_int_equal(config->sources[0].files.exclude.count, 2);
	bkp_config_free(config);
	refuse("tags: &t [a, *t]\n", "t.yaml:1: 'tags' needs a text");
	refuse("&a workers: 1\n<<: *a\n", "t.yaml:2: unknown key '<<'");
}

static void
the_file_is_looked_for_in_the_usual_places(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	char path[128];

	(void)state;
	if (access("/etc/libbackup/backup.yaml", F_OK) != 0) {
		assert_int_equal(bkp_config_load(NULL, &config, &err), -1);
		assert_int_equal(err.code, BKP_NOTFOUND);
		assert_non_null(strstr(err.message, "--config"));
	}
	assert_int_equal(system("mkdir -p .config/libbackup x/libbackup"), 0);
	write_file(".config/libbackup/backup.yaml", "workers: 11", 0600);
	write_file("x/libbackup/backup.yaml", "workers: 12", 0600);
	write_file("named.yaml", "workers: 14", 0600);
	assert_int_equal(bkp_config_load(NULL, &config, &err), 0);
	assert_int_equal(config->workers, 11);
	bkp_config_free(config);
	(void)snprintf(path, sizeof(path), "%s/x", folder);
	setenv("XDG_CONFIG_HOME", path, 1);
	assert_int_equal(bkp_config_load(NULL, &config, &err), 0);
	assert_int_equal(config->workers, 12);
	bkp_config_free(config);
	write_file("backup.yaml", "workers: 13", 0600);
	assert_int_equal(bkp_config_load(NULL, &config, &err), 0);
	assert_int_equal(config->workers, 13);
	bkp_config_free(config);
	setenv("BACKUP_CONFIG", "named.yaml", 1);
	assert_int_equal(bkp_config_load(NULL, &config, &err), 0);
	assert_int_equal(config->workers, 14);
	assert_string_equal(bkp_config_path(config), "named.yaml");
	bkp_config_free(config);
	setenv("BACKUP_CONFIG", "gone.yaml", 1);
	assert_int_equal(bkp_config_load(NULL, &config, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	assert_int_equal(bkp_config_load("gone.yaml", &config, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_int_equal(bkp_config_load(folder, &config, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
}

static void
the_environment_and_the_command_line_win_over_the_file(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_keys keys = BKP_KEYS_INIT;
	struct bkp_config *config;

	(void)state;
	setenv("BACKUP_REPOSITORY", "/env", 1);
	setenv("BACKUP_PASSPHRASE", "env", 1);
	config = load("repository: s3://file\npassphrase: file\n");
	assert_string_equal(bkp_config_repository(config), "/env");
	assert_string_equal(config->passphrase, "env");
	assert_int_equal(bkp_config_set_repository(config, "/line", &err), 0);
	assert_int_equal(bkp_config_set_key_file(config, "k", &err), 0);
	assert_int_equal(bkp_config_set_identity_file(config, "i", &err), 0);
	assert_int_equal(bkp_config_set_passphrase(config, "line", &err), 0);
	assert_int_equal(bkp_config_set_workers(config, 7, &err), 0);
	assert_int_equal(bkp_config_set_workers(config, 0, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	bkp_config_keys(config, &keys);
	assert_string_equal(bkp_config_repository(config), "/line");
	assert_string_equal(keys.key_file, "k");
	assert_string_equal(keys.identity_file, "i");
	assert_string_equal(keys.passphrase, "line");
	assert_int_equal(config->workers, 7);
	bkp_config_free(config);

	assert_int_equal(bkp_config_new(&config, &err), 0);
	assert_string_equal(bkp_config_repository(config), "/env");
	assert_null(bkp_config_path(config));
	assert_null(bkp_config_source(config, 0));
	bkp_config_free(config);
	unsetenv("BACKUP_REPOSITORY");
	config = load("repository: s3://file\n");
	assert_string_equal(bkp_config_repository(config), "s3://file");
	bkp_config_free(config);
}

static void
a_copy_of_a_source_stands_alone(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config, copies;

	(void)state;
	write_file("pg.secret", "pg secret\n", 0600);
	config = load(whole);
	memset(&copies, 0, sizeof(copies));
	copies.sources = calloc(4, sizeof(*copies.sources));
	assert_non_null(copies.sources);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(bkp_source_config_copy(&config->sources[i],
				     &copies.sources[i], &err),
		    0);
	bkp_config_free(config);
	check_whole_sources(&copies);
	for (size_t i = 0; i < 4; i++)
		bkp_source_config_free(&copies.sources[i]);
	free(copies.sources);
	bkp_source_config_free(NULL);
}

static void
running_out_of_memory_anywhere_is_an_error_and_leaks_nothing(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	struct bkp_source_config copy;
	int rc, n;

	(void)state;
	write_file("pg.secret", "pg secret\n", 0600);
	write_file("t.yaml", whole, 0600);
	for (n = 0;; n++) {
		failing_alloc_at(n);
		rc = bkp_config_load("t.yaml", &config, &err);
		if (!failing_alloc_end())
			break;
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, BKP_NOMEM);
		assert_null(config);
	}
	assert_int_equal(rc, 0);
	assert_true(n > 50);
	for (n = 0;; n++) {
		failing_alloc_at(n);
		rc = bkp_source_config_copy(&config->sources[3], &copy, &err);
		if (!failing_alloc_end())
			break;
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, BKP_NOMEM);
	}
	assert_int_equal(rc, 0);
	bkp_source_config_free(&copy);
	bkp_config_free(config);
}

#define CASE(name)                                                             \
	cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)

static void
sources_that_are_not_filled_in_yet_are_none(void **state)
{
	struct bkp_config *config = load("sources:\nrepository: /tmp/r\n");

	(void)state;
	assert_int_equal(config->source_count, 0);
	assert_string_equal(config->repository, "/tmp/r");
	bkp_config_free(config);
	refuse("sources: postgres\n",
	    "t.yaml:1: 'sources' needs a list: lines that begin with '- '");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(sources_that_are_not_filled_in_yet_are_none),
	    CASE(every_key_arrives_and_sources_are_sorted),
	    CASE(a_bucket_is_named_like_its_source_unless_told),
	    CASE(all_databases_is_a_word_of_its_own),
	    CASE(variables_are_replaced_in_values),
	    CASE(a_misspelt_key_is_told_with_its_line_and_what_was_meant),
	    CASE(wrong_types_are_told_with_their_line),
	    CASE(duplicate_keys_and_sources_are_refused),
	    CASE(missing_keys_and_bad_names_are_told),
	    CASE(a_password_in_conninfo_is_refused_and_not_repeated),
	    CASE(secrets_are_given_once_and_their_files_are_there),
	    CASE(a_file_with_a_secret_in_it_is_for_its_owner_alone),
	    CASE(what_is_not_yaml_is_told_with_its_line),
	    CASE(anchors_and_aliases_work_and_a_loop_does_not_hang),
	    CASE(the_file_is_looked_for_in_the_usual_places),
	    CASE(the_environment_and_the_command_line_win_over_the_file),
	    CASE(a_copy_of_a_source_stands_alone),
	    CASE(running_out_of_memory_anywhere_is_an_error_and_leaks_nothing),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
