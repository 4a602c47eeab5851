/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/postgres_queue.h"

struct scene {
	struct bkp_pg_toc toc;
	struct bkp_pg_plan plan;
};

/* An item of an archive. */
struct line {
	unsigned id;
	const char *kind; /* NULL: a table */
	const char *needs;
	const char *sql; /* or the table's name */
};

static void
append(struct fmt_buf *buf, const char *text)
{
	assert_int_equal(fmt_buf_append_text(buf, text), FMT_OK);
}

/* What pg_restore would print of such an archive. */
static void
print(struct bkp_pg_toc *toc, const struct line *lines, size_t count)
{
	struct fmt_buf all = FMT_BUF_INIT, script = FMT_BUF_INIT;
	char text[512];

	*toc = (struct bkp_pg_toc)BKP_PG_TOC_INIT;
	append(&script, "SET statement_timeout = 0;\n");
	for (size_t i = 0; i < count; i++) {
		const struct line *l = &lines[i];
		bool is_table = l->kind == NULL;

		(void)snprintf(text, sizeof(text), "%u; %s %s app %s owner\n",
		    l->id, is_table ? "1259 1" : "2606 2",
		    is_table ? "TABLE" : l->kind, is_table ? l->sql : "x");
		append(&all, text);
		if (!is_table)
			append(&toc->after, text);
		(void)snprintf(
		    text, sizeof(text), ";\tdepends on: %s\n", l->needs);
		append(&all, text);
		(void)snprintf(text, sizeof(text),
		    "--\n-- TOC entry %u (class 1 OID 2)\n"
		    "-- Name: %s; Type: %s; Schema: app; Owner: owner\n"
		    "--\n\n%s;\n",
		    l->id, is_table ? l->sql : "x",
		    is_table ? "TABLE" : l->kind, l->sql);
		append(&script, text);
	}
	assert_int_equal(bkp_pg_toc_after(toc, NULL), 0);
	assert_int_equal(bkp_pg_toc_list(toc, all.data, all.len, NULL), 0);
	assert_int_equal(bkp_pg_toc_list_end(toc, NULL), 0);
	assert_int_equal(
	    bkp_pg_toc_script(toc, script.data, script.len, NULL), 0);
	assert_int_equal(bkp_pg_toc_script_end(toc, NULL), 0);
	fmt_buf_free(&all);
	fmt_buf_free(&script);
}

static void
plan_with(struct scene *scene, const struct line *lines, size_t count,
    const struct bkp_pg_load_table *loads, size_t load_count,
    char *const *partitioned, size_t partitioned_count, unsigned workers)
{
	const struct bkp_pg_plan_facts facts = {
	    loads, load_count, partitioned, partitioned_count, workers};

	print(&scene->toc, lines, count);
	scene->plan = (struct bkp_pg_plan)BKP_PG_PLAN_INIT;
	assert_int_equal(
	    bkp_pg_plan_make(&scene->toc, &facts, &scene->plan, NULL), 0);
}

static void
plan(struct scene *scene, const struct line *lines, size_t count,
    const struct bkp_pg_load_table *loads, size_t load_count,
    char *const *partitioned, size_t partitioned_count)
{
	plan_with(scene, lines, count, loads, load_count, partitioned,
	    partitioned_count, 2);
}

static void
leave(struct scene *scene)
{
	bkp_pg_plan_free(&scene->plan);
	bkp_pg_toc_free(&scene->toc);
}

/* Takes the next task that does something. */
static struct bkp_task
take(struct scene *scene)
{
	struct bkp_task task;

	for (;;) {
		const struct bkp_pg_job *job;

		assert_int_equal(
		    bkp_schedule_take(scene->plan.schedule, NULL, &task, NULL),
		    1);
		job = &scene->plan.jobs[task.job];
		if (job->is_load || job->item != NULL)
			return task;
		assert_true(bkp_schedule_finish(scene->plan.schedule, &task));
		bkp_schedule_release(scene->plan.schedule, &task);
	}
}

static void
finish(struct scene *scene, const struct bkp_task *task)
{
	if (bkp_schedule_finish(scene->plan.schedule, task))
		bkp_schedule_release(scene->plan.schedule, task);
}

static void
assert_is_load(struct scene *scene, const struct bkp_task *task, size_t table)
{
	assert_true(scene->plan.jobs[task->job].is_load);
	assert_int_equal(scene->plan.jobs[task->job].table, table);
}

static void
assert_is_sql(
    struct scene *scene, const struct bkp_task *task, const char *beginning)
{
	const struct bkp_pg_job *job = &scene->plan.jobs[task->job];

	char *sql;

	assert_false(job->is_load);
	assert_non_null(job->item);
	sql = bkp_pg_job_sql(job, NULL);
	assert_non_null(sql);
	assert_memory_equal(sql, beginning, strlen(beginning));
	free(sql);
}

static void
next_is_load(struct scene *scene, size_t table)
{
	struct bkp_task task = take(scene);

	assert_is_load(scene, &task, table);
	finish(scene, &task);
}

static void
next_is_sql(struct scene *scene, const char *beginning)
{
	struct bkp_task task = take(scene);

	assert_is_sql(scene, &task, beginning);
	finish(scene, &task);
}

static void
nothing_is_left(struct scene *scene)
{
	struct bkp_task task;

	while (bkp_schedule_take(scene->plan.schedule, NULL, &task, NULL) > 0) {
		assert_false(scene->plan.jobs[task.job].is_load);
		assert_null(scene->plan.jobs[task.job].item);
		finish(scene, &task);
	}
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
an_index_does_not_wait_for_other_tables(void **state)
{
	static const struct line lines[] = {{1, NULL, "", "big"},
	    {2, NULL, "", "slow"},
	    {11, "INDEX", "2 2", "CREATE INDEX i ON app.slow USING gin (a)"}};
	static const struct bkp_pg_load_table loads[] = {
	    {"app", "big", 100, 10, 1, false},
	    {"app", "slow", 50, 10, 1, false}};
	struct scene scene;
	struct bkp_task slow, big, index;

	(void)state;
	plan(&scene, lines, COUNT(lines), loads, COUNT(loads), NULL, 0);
	slow = take(&scene);
	assert_is_load(&scene, &slow, 1);
	big = take(&scene);
	assert_is_load(&scene, &big, 0);
	finish(&scene, &slow);
	index = take(&scene);
	assert_is_sql(&scene, &index, "CREATE INDEX i");
	finish(&scene, &big);
	finish(&scene, &index);
	nothing_is_left(&scene);
	leave(&scene);
}

static void
a_key_is_built_beside_an_index_and_attached_alone(void **state)
{
	static const struct line lines[] = {{1, NULL, "", "t"},
	    {11, "CONSTRAINT", "1 1",
		"ALTER TABLE ONLY app.t\n    ADD CONSTRAINT t_pkey PRIMARY KEY "
		"(a)"},
	    {12, "INDEX", "1", "CREATE INDEX i ON app.t USING gin (a)"}};
	static const struct bkp_pg_load_table loads[] = {
	    {"app", "t", 100, 10, 1, false}};
	struct scene scene;
	struct bkp_task gin, key;

	(void)state;
	plan(&scene, lines, COUNT(lines), loads, COUNT(loads), NULL, 0);
	next_is_load(&scene, 0);
	key = take(&scene);
	gin = take(&scene);
	assert_is_sql(&scene, &key, "CREATE UNIQUE INDEX t_pkey ON app.t (a)");
	assert_is_sql(&scene, &gin, "CREATE INDEX i");
	finish(&scene, &gin);
	finish(&scene, &key);
	next_is_sql(&scene,
	    "ALTER TABLE ONLY app.t ADD CONSTRAINT t_pkey PRIMARY KEY USING");
	nothing_is_left(&scene);
	leave(&scene);
}

static void
a_foreign_key_waits_for_both_tables_and_the_key(void **state)
{
	static const struct line lines[] = {{1, NULL, "", "child"},
	    {2, NULL, "", "parent"},
	    {11, "CONSTRAINT", "2 2",
		"ALTER TABLE ONLY app.parent\n    ADD CONSTRAINT p PRIMARY KEY "
		"(a)"},
	    {12, "FK CONSTRAINT", "11 1 2", "ALTER TABLE ONLY app.child"}};
	static const struct bkp_pg_load_table loads[] = {
	    {"app", "child", 1, 1, 1, false},
	    {"app", "parent", 100, 1, 1, false}};
	struct scene scene;

	(void)state;
	plan(&scene, lines, COUNT(lines), loads, COUNT(loads), NULL, 0);
	next_is_load(&scene, 1);
	next_is_sql(&scene, "CREATE UNIQUE INDEX p");
	next_is_load(&scene, 0);
	next_is_sql(&scene, "ALTER TABLE ONLY app.parent ADD CONSTRAINT p");
	next_is_sql(&scene, "ALTER TABLE ONLY app.child");
	nothing_is_left(&scene);
	leave(&scene);
}

static void
partitions_are_attached_one_by_one_before_foreign_keys(void **state)
{
	static const struct line lines[] = {{1, NULL, "", "p"},
	    {2, NULL, "", "p1"}, {3, NULL, "", "other"},
	    {11, "INDEX", "1", "CREATE INDEX i ON ONLY app.p USING btree (a)"},
	    {12, "INDEX", "2 11", "CREATE INDEX i1 ON app.p1 USING btree (a)"},
	    {13, "INDEX ATTACH", "12 11 2 1", "ALTER INDEX app.i"},
	    {14, "FK CONSTRAINT", "3 3", "ALTER TABLE ONLY app.other"}};
	static const struct bkp_pg_load_table loads[] = {
	    {"app", "p1", 100, 10, 1, false}, {"app", "other", 1, 1, 1, false}};
	char *partitioned[] = {(char[]){"p; Type: TABLE; Schema: app"}};
	struct scene scene;
	struct bkp_task part;

	(void)state;
	plan(&scene, lines, COUNT(lines), loads, COUNT(loads), partitioned, 1);
	part = take(&scene);
	assert_is_load(&scene, &part, 0);
	next_is_sql(&scene, "CREATE INDEX i ON ONLY");
	finish(&scene, &part);
	next_is_sql(&scene, "CREATE INDEX i1");
	next_is_load(&scene, 1);
	next_is_sql(&scene, "ALTER INDEX app.i");
	next_is_sql(&scene, "ALTER TABLE ONLY app.other");
	nothing_is_left(&scene);
	leave(&scene);
}

static void
a_table_that_no_load_names_waits_for_all_of_them(void **state)
{
	static const struct line lines[] = {{1, NULL, "", "leaf"},
	    {11, "INDEX", "1", "CREATE INDEX i ON app.leaf USING btree (a)"}};
	static const struct bkp_pg_load_table loads[] = {
	    {"app", "root", 100, 10, 2, false},
	    {"app", "other", 1, 1, 1, false}};
	struct scene scene;

	(void)state;
	plan(&scene, lines, COUNT(lines), loads, COUNT(loads), NULL, 0);
	next_is_load(&scene, 0);
	next_is_load(&scene, 0);
	next_is_load(&scene, 1);
	next_is_sql(&scene, "CREATE INDEX i");
	nothing_is_left(&scene);
	leave(&scene);
}

static void
a_foreign_key_to_a_table_of_an_extension_waits_for_all(void **state)
{
	static const struct line lines[] = {{1, NULL, "", "child"},
	    {12, "FK CONSTRAINT", "1 7", "ALTER TABLE ONLY app.child"}};
	static const struct bkp_pg_load_table loads[] = {
	    {"app", "child", 100, 1, 1, false},
	    {"ext", "settings", 1, 1, 1, false}};
	struct scene scene;

	(void)state;
	plan(&scene, lines, COUNT(lines), loads, COUNT(loads), NULL, 0);
	next_is_load(&scene, 0);
	next_is_load(&scene, 1);
	next_is_sql(&scene, "ALTER TABLE ONLY app.child");
	nothing_is_left(&scene);
	leave(&scene);
}

static void
an_index_that_calls_a_function_waits_for_all(void **state)
{
	static const struct line lines[] = {{1, NULL, "", "a"},
	    {2, NULL, "", "b"},
	    {11, "INDEX", "1 9", "CREATE INDEX i ON app.a USING btree (f(a))"}};
	static const struct bkp_pg_load_table loads[] = {
	    {"app", "a", 100, 100, 1, false}, {"app", "b", 1, 1, 1, false}};
	struct scene scene;

	(void)state;
	plan(&scene, lines, COUNT(lines), loads, COUNT(loads), NULL, 0);
	next_is_load(&scene, 0);
	next_is_load(&scene, 1);
	next_is_sql(&scene, "CREATE INDEX i");
	nothing_is_left(&scene);
	leave(&scene);
}

static void
what_waits_in_a_circle_is_left_to_pg_restore(void **state)
{
	static const struct line lines[] = {{1, NULL, "", "a"},
	    {11, "INDEX", "1 12", "CREATE INDEX i ON app.a USING btree (a)"},
	    {12, "INDEX", "1 11", "CREATE INDEX j ON app.a USING btree (a)"},
	    {13, "INDEX", "1", "CREATE INDEX k ON app.a USING btree (a)"}};
	static const struct bkp_pg_load_table loads[] = {
	    {"app", "a", 100, 100, 1, false}};
	struct scene scene;

	(void)state;
	plan(&scene, lines, COUNT(lines), loads, COUNT(loads), NULL, 0);
	next_is_load(&scene, 0);
	nothing_is_left(&scene);
	for (size_t i = 0; i < scene.toc.item_count; i++)
		assert_true(scene.toc.items[i].is_late);
	leave(&scene);
}

#define MIB (1024u * 1024u)

static bool
next_is_whole(struct scene *scene, size_t table)
{
	struct bkp_task task = take(scene);

	assert_is_load(scene, &task, table);
	finish(scene, &task);
	return scene->plan.jobs[task.job].is_whole;
}

static void
tables_of_several_are_whole_and_a_large_one_is_shared(void **state)
{
	static const struct bkp_pg_load_table loads[] = {
	    {"app", "large", 90 * MIB, 10, 2, false},
	    {"app", "b", 40 * MIB, 10, 3, false},
	    {"app", "root", 30 * MIB, 10, 1, false},
	    {"app", "ext", 20 * MIB, 10, 1, true},
	    {"app", "tiny", MIB - 1, 10, 1, false}};
	char *partitioned[] = {(char[]){"root; Type: TABLE; Schema: app"}};
	struct scene scene;

	(void)state;
	plan_with(&scene, NULL, 0, loads, COUNT(loads), partitioned, 1, 2);
	assert_false(next_is_whole(&scene, 0));
	assert_false(next_is_whole(&scene, 0));
	assert_true(next_is_whole(&scene, 1));
	assert_false(next_is_whole(&scene, 2));
	assert_false(next_is_whole(&scene, 3));
	assert_false(next_is_whole(&scene, 4));
	nothing_is_left(&scene);
	leave(&scene);
}

static void
one_worker_has_every_table_to_itself(void **state)
{
	static const struct bkp_pg_load_table loads[] = {
	    {"app", "large", 90 * MIB, 10, 2, false}};
	struct scene scene;

	(void)state;
	plan_with(&scene, NULL, 0, loads, COUNT(loads), NULL, 0, 1);
	assert_true(next_is_whole(&scene, 0));
	nothing_is_left(&scene);
	leave(&scene);
}

/* ---- very many ---- */

#define MANY 20000
#define EACH 3 /* a table, its key, an index */
#define TEXT 96

static size_t
allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void
describe_many(
    struct line *lines, struct bkp_pg_load_table *loads, char (*texts)[TEXT])
{
	for (unsigned i = 0; i < MANY; i++) {
		char(*text)[TEXT] = &texts[(size_t)(EACH + 1) * i];
		unsigned id = 10 * i + 1;

		(void)snprintf(text[0], TEXT, "t%u", i);
		(void)snprintf(text[1], TEXT, "%u %u", id, id);
		(void)snprintf(text[2], TEXT,
		    "ALTER TABLE ONLY app.t%u ADD CONSTRAINT t%u_pkey "
		    "PRIMARY KEY (id)",
		    i, i);
		(void)snprintf(text[3], TEXT,
		    "CREATE INDEX t%u_name ON app.t%u USING btree (name)", i,
		    i);
		loads[i] =
		    (struct bkp_pg_load_table){"app", text[0], 20, 1, 1, false};
		lines[EACH * i] = (struct line){id, NULL, "", text[0]};
		lines[EACH * i + 1] =
		    (struct line){id + 1, "CONSTRAINT", text[1], text[2]};
		lines[EACH * i + 2] =
		    (struct line){id + 2, "INDEX", text[1], text[3]};
	}
}

/* 256 MiB are to do for 100,000 tables, and the plan is a part of that. */
static void
a_plan_of_very_many_tables_takes_little_memory(void **state)
{
	struct line *lines = calloc((size_t)EACH * MANY, sizeof(*lines));
	struct bkp_pg_load_table *loads = calloc(MANY, sizeof(*loads));
	char(*texts)[TEXT] = calloc((size_t)(EACH + 1) * MANY, TEXT);
	struct bkp_pg_plan_facts facts = {
	    .loads = loads, .load_count = MANY, .workers = 2};
	struct scene scene = {.plan = BKP_PG_PLAN_INIT};
	size_t before;

	(void)state;
	assert_true(lines != NULL && loads != NULL && texts != NULL);
	describe_many(lines, loads, texts);
	print(&scene.toc, lines, (size_t)EACH * MANY);
	before = allocated();
	assert_int_equal(
	    bkp_pg_plan_make(&scene.toc, &facts, &scene.plan, NULL), 0);
	assert_true(scene.plan.job_count > (size_t)EACH * MANY);
	assert_in_range((allocated() - before) / MANY, 0, 700);
	leave(&scene);
	free(texts);
	free(loads);
	free(lines);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_index_does_not_wait_for_other_tables),
	    cmocka_unit_test(a_key_is_built_beside_an_index_and_attached_alone),
	    cmocka_unit_test(a_foreign_key_waits_for_both_tables_and_the_key),
	    cmocka_unit_test(
		partitions_are_attached_one_by_one_before_foreign_keys),
	    cmocka_unit_test(a_table_that_no_load_names_waits_for_all_of_them),
	    cmocka_unit_test(
		a_foreign_key_to_a_table_of_an_extension_waits_for_all),
	    cmocka_unit_test(an_index_that_calls_a_function_waits_for_all),
	    cmocka_unit_test(what_waits_in_a_circle_is_left_to_pg_restore),
	    cmocka_unit_test(
		tables_of_several_are_whole_and_a_large_one_is_shared),
	    cmocka_unit_test(one_worker_has_every_table_to_itself),
	    cmocka_unit_test(a_plan_of_very_many_tables_takes_little_memory),
	};

	return cmocka_run_group_tests_name("postgres plan", tests, NULL, NULL);
}
