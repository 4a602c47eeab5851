/* SPDX-License-Identifier: Apache-2.0 */
/* What the doctor finds out without asking anybody: what starts backups, which
 * sources are of one server, and how far plain http goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libbackup/doctor/database.h"
#include "libbackup/doctor/near.h"
#include "libbackup/doctor/starter.h"

#define WANTS "etc/systemd/system/timers.target.wants/"

static char top[] = "/tmp/test_doctor.XXXXXX";

static void
run(const char *program, const char *path)
{
	char command[600];

	(void)snprintf(
	    command, sizeof(command), "%s '%s/%s'", program, top, path);
	assert_int_equal(system(command), 0);
}

static int
begin(void **state)
{
	(void)state;
	(void)strcpy(top + strlen(top) - 6, "XXXXXX");
	unsetenv("PGHOST");
	unsetenv("PGPORT");
	unsetenv("PGDATABASE");
	unsetenv("PGSERVICE");
	return mkdtemp(top) != NULL ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	run("rm -rf", "");
	return 0;
}

static void
plant(const char *path, const char *text)
{
	char whole[512];
	FILE *file;

	(void)snprintf(whole, sizeof(whole), "%s/%s", top, path);
	*strrchr(whole, '/') = '\0';
	run("mkdir -p", whole + strlen(top) + 1);
	(void)snprintf(whole, sizeof(whole), "%s/%s", top, path);
	file = fopen(whole, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void
expect(const char *end_of_found)
{
	char found[4096] = "";

	if (end_of_found == NULL) {
		assert_false(bkp_exam_starter(top, found, sizeof(found)));
		return;
	}
	assert_true(bkp_exam_starter(top, found, sizeof(found)));
	assert_string_equal(found + strlen(top) + 1, end_of_found);
}

static void
a_timer_of_others_starts_no_backup(void **state)
{
	(void)state;
	expect(NULL);
	plant(WANTS "dpkg-db-backup.timer", "[Timer]\nOnCalendar=daily\n");
	plant("usr/lib/systemd/system/dpkg-db-backup.service",
	    "[Service]\nExecStart=/usr/libexec/dpkg/dpkg-db-backup\n");
	expect(NULL);
	plant("etc/systemd/system/nightly.service",
	    "[Service]\nExecStart=/usr/bin/backup-run\n");
	expect(NULL);
	plant(WANTS "nightly.timer", "[Timer]\nOnCalendar=daily\n");
	expect(WANTS "nightly.timer");
}

static void
a_timer_names_the_unit_that_it_starts(void **state)
{
	(void)state;
	plant(WANTS "night.timer", "[Timer]\nUnit = dump.service\n");
	plant("lib/systemd/system/night.service", "ExecStart=backup-run\n");
	plant("lib/systemd/system/dump.service", "ExecStart=/bin/true\n");
	expect(NULL);
	plant("etc/systemd/system/dump.service", "ExecStart=backup-create\n");
	expect(WANTS "night.timer");
}

static void
a_template_stands_for_its_instances(void **state)
{
	(void)state;
	plant(WANTS "libbackup@nightly.timer", "[Timer]\nOnCalendar=daily\n");
	expect(NULL);
	plant("usr/lib/systemd/system/libbackup@.service",
	    "# backup-create\nExecStart=/usr/bin/backup-run %i\n");
	expect(WANTS "libbackup@nightly.timer");
	plant("etc/systemd/system/libbackup@nightly.service",
	    "# backup-run\nExecStart=/bin/true\n");
	expect(NULL);
}

static void
cron_starts_backups(void **state)
{
	(void)state;
	plant("etc/cron.d/e2scrub", "# backup-run\n0 1 * * * root true\n");
	plant("etc/crontab", "0 1 * * * root true\n");
	expect(NULL);
	plant("etc/crontab", "0 1 * * * root backup-run\n");
	expect("etc/crontab");
	plant("etc/cron.d/backup", "0 1 * * * root backup-run\n");
	expect("etc/cron.d/backup");
}

/* ---- servers ---- */

static bool
answer_of(struct bkp_postgres_config source, const char *conninfo,
    const char *own, const char *database)
{
	struct bkp_postgres_config mine = {.conninfo = strdup(own)};
	bool answer = false;

	source.conninfo = strdup(conninfo);
	assert_non_null(source.conninfo);
	assert_non_null(mine.conninfo);
	assert_int_equal(
	    bkp_exam_backs_up(&source, &mine, database, &answer, NULL), 0);
	free(source.conninfo);
	free(mine.conninfo);
	return answer;
}

static bool
covers(const char *conninfo, const char *own, const char *database)
{
	struct bkp_postgres_config source = {.conninfo = NULL};

	return answer_of(source, conninfo, own, database);
}

static void
the_database_of_a_source_is_that_one_alone(void **state)
{
	(void)state;
	assert_true(
	    covers("host=a dbname=shop user=x", "host=a dbname=other", "shop"));
	assert_false(covers(
	    "host=a dbname=shop_old user=x", "host=a dbname=other", "shop"));
	assert_false(
	    covers("host=a dbname=other user=shop", "host=a dbname=x", "shop"));
	assert_true(covers("host=a user=shop", "host=a dbname=x", "shop"));
	assert_true(
	    covers("postgresql://x@a/shop", "host=A port=5432", "shop"));
}

static void
another_server_covers_nothing(void **state)
{
	(void)state;
	assert_false(covers("host=b dbname=shop", "host=a", "shop"));
	assert_false(covers("host=a port=5433 dbname=shop", "host=a", "shop"));
	assert_false(covers("host=/sockets/b dbname=shop", "", "shop"));
	assert_true(covers(
	    "host=localhost dbname=shop", "host=127.0.0.1 port=5432", "shop"));
	assert_true(covers("dbname=shop", "host=/var/run/postgresql", "shop"));
}

static void
databases_are_those_of_one_server(void **state)
{
	struct bkp_postgres_config all = {.all_databases = true};
	char shop[] = "shop", *names[] = {shop};
	struct bkp_postgres_config one = {.databases = {names, 1}};

	(void)state;
	assert_false(answer_of(all, "host=b", "host=a", "shop"));
	assert_true(answer_of(all, "host=b", "host=b", "shop"));
	assert_false(answer_of(one, "host=b", "host=a", "shop"));
	assert_true(answer_of(one, "host=b", "host=b", "shop"));
	assert_false(answer_of(one, "host=b dbname=sho", "host=b", "sho"));
}

/* ---- addresses ---- */

static void
all_are(enum bkp_nearness nearness, const char *const *authorities)
{
	for (; *authorities != NULL; authorities++)
		if (bkp_exam_nearness(*authorities) != nearness)
			fail_msg("%s", *authorities);
}

static void
this_machine_is_known_by_its_addresses(void **state)
{
	static const char *const here[] = {"localhost", "LocalHost:9000",
	    "localhost./x", "s3.localhost", "127.0.0.1", "127.8.9.10:9000/x",
	    "127.1", "2130706433", "[::1]:9000", "[::ffff:127.0.0.1]",
	    "user@localhost", NULL};

	(void)state;
	all_are(BKP_NEARNESS_HERE, here);
}

static void
a_private_network_is_known_by_its_names_and_addresses(void **state)
{
	static const char *const near[] = {"minio", "minio:9000", "MinIO.:9000",
	    "minio.storage.svc", "minio.storage.svc.cluster.local:9000",
	    "nas.home.arpa", "s3.corp.internal", "10.0.0.1", "10.255.255.255",
	    "172.16.0.1", "172.31.255.255:80", "192.168.1.1", "100.64.0.1",
	    "169.254.1.1", "[fd00::1]:9000", "[fe80::1%25eth0]:9000",
	    "[::ffff:10.0.0.1]", NULL};

	(void)state;
	all_are(BKP_NEARNESS_PRIVATE, near);
}

static void
everything_else_is_far(void **state)
{
	static const char *const far[] = {"minio.example.com:9000",
	    "127.0.0.1.example.com", "localhost.example.com", "10.0.0.1.nip.io",
	    "notlocalhost.com", "mylocal.org", "11.0.0.1", "172.15.0.1",
	    "172.32.0.1", "192.169.0.1", "100.128.0.1", "8.8.8.8", "134744072",
	    "128.0.0.1", "0.0.0.0", "[2001:db8::1]", "[::ffff:8.8.8.8]",
	    "[::2]", "minio@example.com", "minio:9000@example.com", "", ":9000",
	    "/minio", NULL};

	(void)state;
	all_are(BKP_NEARNESS_FAR, far);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		a_timer_of_others_starts_no_backup, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_timer_names_the_unit_that_it_starts, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_template_stands_for_its_instances, begin, end),
	    cmocka_unit_test_setup_teardown(cron_starts_backups, begin, end),
	    cmocka_unit_test(the_database_of_a_source_is_that_one_alone),
	    cmocka_unit_test(another_server_covers_nothing),
	    cmocka_unit_test(databases_are_those_of_one_server),
	    cmocka_unit_test(this_machine_is_known_by_its_addresses),
	    cmocka_unit_test(
		a_private_network_is_known_by_its_names_and_addresses),
	    cmocka_unit_test(everything_else_is_far),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
