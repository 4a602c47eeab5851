/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/toc.h"
#include "libbackup/postgres/toc_choice.h"
#include "libbackup/repository.h"
#include "tests/unit/failing_alloc.h"

static enum bkp_pg_step
step_of(const char *line)
{
	return bkp_pg_step_of(line, strlen(line));
}

static void
attached_indexes_go_back_in_a_step_of_their_own(void **state)
{
	(void)state;
	assert_int_equal(
	    step_of("3345; 0 0 INDEX ATTACH app event_1_pkey owner\n"),
	    BKP_PG_STEP_ATTACH);
	assert_int_equal(step_of("3302; 1259 16410 INDEX app event_a owner\n"),
	    BKP_PG_STEP_INDEXES);
	assert_int_equal(
	    step_of("3290; 2606 16402 CONSTRAINT app event event_pkey owner\n"),
	    BKP_PG_STEP_INDEXES);
	assert_int_equal(
	    step_of("3390; 2606 16402 FK CONSTRAINT app a a_b_fkey owner\n"),
	    BKP_PG_STEP_FOREIGN_KEYS);
	assert_int_equal(
	    step_of("9; 0 0 COMMENT app INDEX INDEX ATTACH owner\n"),
	    BKP_PG_STEP_REST);
	assert_int_equal(step_of(""), BKP_PG_STEP_REST);
	assert_int_equal(step_of("12; 34 5"), BKP_PG_STEP_REST);
}

static enum bkp_pg_need
need_of(const char *line)
{
	return bkp_pg_need_of(line, strlen(line));
}

static void
what_a_server_keeps_for_superusers_is_told_by_its_kind(void **state)
{
	(void)state;
	assert_int_equal(
	    need_of("3345; 3466 16402 EVENT TRIGGER - watcher postgres\n"),
	    BKP_PG_NEED_LEAF);
	assert_int_equal(
	    need_of("3; 0 0 COMMENT - EXTENSION hstore \n"), BKP_PG_NEED_LEAF);
	assert_int_equal(
	    need_of("3; 6106 16 PUBLICATION TABLE app one item me\n"),
	    BKP_PG_NEED_LEAF);
	assert_int_equal(
	    need_of("3; 0 0 COMMENT app TABLE item me\n"), BKP_PG_NEED_NONE);
	assert_int_equal(
	    need_of("3; 2616 9 OPERATOR CLASS app abs me\n"), BKP_PG_NEED_BASE);
	assert_int_equal(
	    need_of("3; 1259 9 TABLE app PUBLICATION me\n"), BKP_PG_NEED_NONE);
}

static void
a_line_tells_a_name_and_an_owner(void **state)
{
	static const char line[] = "3; 3466 16 EVENT TRIGGER - watcher me\n";
	static const char bare[] = "3; 0 0 COMMENT - EXTENSION hstore \n";
	size_t len;
	const char *text;

	(void)state;
	text = bkp_pg_line_name(line, strlen(line), &len);
	assert_int_equal(len, strlen("EVENT TRIGGER - watcher"));
	assert_memory_equal(text, "EVENT TRIGGER - watcher", len);
	text = bkp_pg_line_owner(line, strlen(line), &len);
	assert_int_equal(len, 2);
	assert_memory_equal(text, "me", 2);
	(void)bkp_pg_line_owner(bare, strlen(bare), &len);
	assert_int_equal(len, 0);
	text = bkp_pg_line_name(bare, strlen(bare), &len);
	assert_int_equal(len, strlen("COMMENT - EXTENSION hstore"));
	assert_memory_equal(text, "COMMENT - EXTENSION hstore", len);
}

/* ---- lists and scripts ---- */

static const char tables[] = "; Archive created at some time\n"
			     ";\n"
			     "6; 2615 16384 SCHEMA - app owner\n"
			     "215; 1259 16385 TABLE app account owner\n"
			     ";\tdepends on: 6\n"
			     "216; 1259 16398 TABLE app c owner\n"
			     ";\tdepends on: 6\n"
			     "3213; 0 0 TABLE ATTACH app p1 owner\n"
			     ";\tdepends on: 218 217\n";

static const char list[] =
    "3223; 2606 16404 CONSTRAINT app c c_pkey owner\n"
    ";\tdepends on: 216 216\n"
    "3392; 0 0 COMMENT app CONSTRAINT c_pkey ON c owner\n"
    ";\tdepends on: 3223\n"
    "3226; 1259 16412 INDEX app i x owner\n"
    ";\tdepends on: 216\n"
    "3300; 1259 16500 MATERIALIZED VIEW app m owner\n"
    ";\tdepends on: 3223 215\n"
    "3301; 1259 16501 INDEX app m_idx owner\n"
    ";\tdepends on: 3300\n"
    "3242; 2606 16407 FK CONSTRAINT app c c_a_fkey owner\n"
    ";\tdepends on: 3223 216 215\n";

static const char script[] =
    "--\n-- PostgreSQL database dump\n--\n\n"
    "\\restrict abc\n\n"
    "-- Dumped from database version 15.20\n\n"
    "SET statement_timeout = 0;\n"
    "SET client_encoding = 'UTF8';\n"
    "SELECT pg_catalog.set_config('search_path', '', false);\n\n"
    "SET default_tablespace = '';\n\n"
    "SET default_table_access_method = heap;\n\n"
    "--\n-- TOC entry 215 (class 1259 OID 16385)\n"
    "-- Dependencies: 6\n"
    "-- Name: account; Type: TABLE; Schema: app; Owner: owner\n"
    "-- Data Pos: 0\n--\n\n"
    "CREATE TABLE app.account (\n"
    "    a text DEFAULT 'x;\n"
    "-- TOC entry 3223 (class 2606 OID 16404)\n"
    "CREATE INDEX evil;'\n"
    ");\n\n\n"
    "ALTER TABLE app.account OWNER TO owner;\n\n"
    "--\n-- TOC entry 3223 (class 2606 OID 16404)\n"
    "-- Dependencies: 216 216\n"
    "-- Name: c c_pkey; Type: CONSTRAINT; Schema: app; Owner: owner\n"
    "--\n\n"
    "ALTER TABLE ONLY app.c\n"
    "    ADD CONSTRAINT c_pkey PRIMARY KEY (id);\n\n"
    "ALTER TABLE app.c CLUSTER ON c_pkey;\n\n"
    "ALTER TABLE ONLY app.c REPLICA IDENTITY USING INDEX c_pkey;\n\n\n"
    "SET default_tablespace = fast;\n\n"
    "--\n-- TOC entry 3226 (class 1259 OID 16412)\n"
    "-- Name: i x; Type: INDEX; Schema: app; Owner: owner\n"
    "--\n\n"
    "CREATE INDEX \"i x\" ON app.c USING btree (a);\n\n\n"
    "-- Completed on some day\n\n"
    "--\n-- PostgreSQL database dump complete\n--\n\n"
    "\\unrestrict abc\n";

static void
fill(struct fmt_buf *buf, const char *text)
{
	assert_int_equal(fmt_buf_append(buf, text, strlen(text)), FMT_OK);
}

/* As a program gives its output: in portions of any size. */
static int
feed(bkp_bytes_fn *take, void *arg, const char *text, size_t portion,
    struct bkp_error *err)
{
	size_t len = strlen(text);

	for (size_t at = 0; at < len; at += portion)
		if (take(arg, text + at,
			len - at < portion ? len - at : portion, err) < 0)
			return -1;
	return 0;
}

static int
try_lists(struct bkp_pg_toc *toc, size_t portion, struct bkp_error *err)
{
	return bkp_pg_toc_after(toc, err) == 0 &&
		       feed(bkp_pg_toc_list, toc, tables, portion, err) == 0 &&
		       feed(bkp_pg_toc_list, toc, list, portion, err) == 0
		   ? bkp_pg_toc_list_end(toc, err)
		   : -1;
}

static int
try_script(struct bkp_pg_toc *toc, size_t portion, struct bkp_error *err)
{
	return feed(bkp_pg_toc_script, toc, script, portion, err) == 0
		   ? bkp_pg_toc_script_end(toc, err)
		   : -1;
}

static void
read_portions(struct bkp_pg_toc *toc, size_t portion)
{
	*toc = (struct bkp_pg_toc)BKP_PG_TOC_INIT;
	fill(&toc->after, list);
	assert_int_equal(try_lists(toc, portion, NULL), 0);
}

static void
read_lists(struct bkp_pg_toc *toc)
{
	read_portions(toc, 4096);
}

static void
read_script(struct bkp_pg_toc *toc)
{
	assert_int_equal(try_script(toc, 4096, NULL), 0);
}

static void
assert_view(const struct bkp_pg_view *view, const char *text)
{
	if (text == NULL) {
		assert_null(view->text);
		return;
	}
	assert_non_null(view->text);
	assert_int_equal(view->len, strlen(text));
	assert_memory_equal(view->text, text, view->len);
}

static void
lists_tell_what_waits_for_what(void **state)
{
	struct bkp_pg_toc toc;
	const struct bkp_pg_item *key;

	(void)state;
	read_lists(&toc);
	assert_int_equal(toc.table_count, 2);
	assert_int_equal(toc.item_count, 6);
	key = bkp_pg_toc_item(&toc, 3242);
	assert_non_null(key);
	assert_int_equal(key->step, BKP_PG_STEP_FOREIGN_KEYS);
	assert_int_equal(key->need_count, 3);
	assert_int_equal(toc.needs[key->first_need], 3223);
	assert_int_equal(toc.needs[key->first_need + 2], 215);
	assert_null(bkp_pg_toc_item(&toc, 1));
	bkp_pg_toc_free(&toc);
}

static void
what_waits_for_something_late_is_late(void **state)
{
	struct bkp_pg_toc toc;

	(void)state;
	read_lists(&toc);
	assert_true(bkp_pg_toc_item(&toc, 3392)->is_late);
	assert_true(bkp_pg_toc_item(&toc, 3300)->is_late);
	assert_true(bkp_pg_toc_item(&toc, 3301)->is_late);
	assert_false(bkp_pg_toc_item(&toc, 3223)->is_late);
	assert_false(bkp_pg_toc_item(&toc, 3242)->is_late);
	bkp_pg_toc_free(&toc);
}

static void
the_script_is_asked_for_tables_and_what_is_not_late(void **state)
{
	struct bkp_pg_toc toc;
	struct fmt_buf wanted = FMT_BUF_INIT;

	(void)state;
	read_lists(&toc);
	assert_int_equal(bkp_pg_toc_wanted(&toc, &wanted), FMT_OK);
	assert_string_equal(fmt_buf_text(&wanted),
	    "215; 1259 16385 TABLE app account owner\n"
	    "216; 1259 16398 TABLE app c owner\n"
	    "3223; 2606 16404 CONSTRAINT app c c_pkey owner\n"
	    "3226; 1259 16412 INDEX app i x owner\n"
	    "3242; 2606 16407 FK CONSTRAINT app c c_a_fkey owner\n");
	fmt_buf_free(&wanted);
	bkp_pg_toc_free(&toc);
}

static void
statements_belong_to_their_items(void **state)
{
	struct bkp_pg_toc toc;
	const struct bkp_pg_item *item;

	(void)state;
	read_lists(&toc);
	read_script(&toc);
	assert_view(&toc.setup,
	    "SET statement_timeout = 0;\n"
	    "SET client_encoding = 'UTF8';\n"
	    "SELECT pg_catalog.set_config('search_path', '', false);");
	item = bkp_pg_toc_item(&toc, 3223);
	assert_view(&item->first,
	    "ALTER TABLE ONLY app.c\n"
	    "    ADD CONSTRAINT c_pkey PRIMARY KEY (id);");
	assert_view(&item->more,
	    "ALTER TABLE app.c CLUSTER ON c_pkey;\n"
	    "ALTER TABLE ONLY app.c REPLICA IDENTITY USING INDEX c_pkey;");
	assert_view(&item->tablespace, "SET default_tablespace = '';");
	item = bkp_pg_toc_item(&toc, 3226);
	assert_view(
	    &item->first, "CREATE INDEX \"i x\" ON app.c USING btree (a);");
	assert_view(&item->more, NULL);
	assert_view(&item->tablespace, "SET default_tablespace = fast;");
	assert_view(&toc.tables[0].key, "account; Type: TABLE; Schema: app");
	bkp_pg_toc_free(&toc);
}

static void
an_item_that_the_script_lacks_is_late(void **state)
{
	struct bkp_pg_toc toc;

	(void)state;
	read_lists(&toc);
	read_script(&toc);
	assert_true(bkp_pg_toc_item(&toc, 3242)->is_late);
	assert_false(bkp_pg_toc_item(&toc, 3226)->is_late);
	bkp_pg_toc_free(&toc);
}

static void
lists_and_scripts_may_be_cut_anywhere(void **state)
{
	struct bkp_pg_toc whole, toc;

	(void)state;
	read_lists(&whole);
	read_script(&whole);
	for (size_t portion = 1; portion < 90; portion++) {
		read_portions(&toc, portion);
		assert_int_equal(try_script(&toc, portion, NULL), 0);
		assert_view(&toc.setup, whole.setup.text);
		assert_int_equal(toc.table_count, whole.table_count);
		for (size_t i = 0; i < toc.table_count; i++)
			assert_view(
			    &toc.tables[i].key, whole.tables[i].key.text);
		for (size_t i = 0; i < toc.item_count; i++) {
			const struct bkp_pg_item *a = &toc.items[i];
			const struct bkp_pg_item *b = &whole.items[i];

			assert_int_equal(a->is_late, b->is_late);
			assert_int_equal(a->need_count, b->need_count);
			assert_view(&a->first, b->first.text);
			assert_view(&a->more, b->more.text);
			assert_view(&a->tablespace, b->tablespace.text);
		}
		bkp_pg_toc_free(&toc);
	}
	bkp_pg_toc_free(&whole);
}

static void
a_key_is_what_the_script_calls_a_table(void **state)
{
	struct fmt_buf key = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(bkp_pg_toc_key(&key, "a\nb", "c; d\r"), FMT_OK);
	assert_string_equal(
	    fmt_buf_text(&key), "c; d ; Type: TABLE; Schema: a b");
	fmt_buf_free(&key);
}

/* ---- constraints in two steps ---- */

static void
assert_split(const char *statement, const char *index, const char *constraint)
{
	const struct bkp_pg_view view = {statement, strlen(statement)};
	struct fmt_buf first = FMT_BUF_INIT, second = FMT_BUF_INIT;
	enum fmt_status status = bkp_pg_toc_split(&view, &first, &second);

	assert_int_equal(status, index != NULL ? FMT_OK : FMT_UNSUPPORTED);
	if (index != NULL) {
		assert_string_equal(fmt_buf_text(&first), index);
		assert_string_equal(fmt_buf_text(&second), constraint);
	}
	fmt_buf_free(&first);
	fmt_buf_free(&second);
}

#define ALTER "ALTER TABLE ONLY app.c\n    ADD CONSTRAINT "

static void
keys_become_an_index_and_a_constraint_of_it(void **state)
{
	(void)state;
	assert_split(ALTER "c_pkey PRIMARY KEY (id);",
	    "CREATE UNIQUE INDEX c_pkey ON app.c (id)",
	    "ALTER TABLE ONLY app.c ADD CONSTRAINT c_pkey PRIMARY KEY USING "
	    "INDEX c_pkey;");
	assert_split(ALTER
	    "\"a\"\" (b\" UNIQUE NULLS NOT DISTINCT (a, \"B,\") INCLUDE (c) "
	    "WITH (fillfactor='70') DEFERRABLE INITIALLY DEFERRED;",
	    "CREATE UNIQUE INDEX \"a\"\" (b\" ON app.c (a, \"B,\") INCLUDE "
	    "(c) NULLS NOT DISTINCT WITH (fillfactor='70')",
	    "ALTER TABLE ONLY app.c ADD CONSTRAINT \"a\"\" (b\" UNIQUE USING "
	    "INDEX \"a\"\" (b\" DEFERRABLE INITIALLY DEFERRED;");
}

static void
anything_else_stays_in_one_piece(void **state)
{
	(void)state;
	assert_split(
	    ALTER "c_excl EXCLUDE USING gist (r WITH &&);", NULL, NULL);
	assert_split(
	    ALTER "c_pkey PRIMARY KEY (id, at WITHOUT OVERLAPS);", NULL, NULL);
	assert_split(ALTER "c_check CHECK ((id > 0));", NULL, NULL);
	assert_split(ALTER "c_pkey PRIMARY KEY (id)", NULL, NULL);
	assert_split(
	    ALTER "c_pkey PRIMARY KEY (id); DROP TABLE x;", NULL, NULL);
	assert_split(
	    "ALTER TABLE app.c\n    ADD CONSTRAINT c UNIQUE (id);", NULL, NULL);
	assert_split("ALTER TABLE ONLY c\n    ADD CONSTRAINT c UNIQUE (id);",
	    NULL, NULL);
	assert_split(ALTER "c UNIQUE (a) WITH (fillfactor='70';", NULL, NULL);
	assert_split(ALTER "\"c", NULL, NULL);
	assert_split("", NULL, NULL);
}

/* ---- memory ---- */

/* All that is read of an archive; what stood in the buffers is there. */
static int
read_all(struct bkp_pg_toc *toc, struct bkp_pg_choice *choice,
    struct fmt_buf *wanted, struct bkp_error *err)
{
	const struct bkp_pg_view key = {
	    ALTER "c UNIQUE (a);", sizeof(ALTER "c UNIQUE (a);") - 1};
	struct fmt_buf index = FMT_BUF_INIT, constraint = FMT_BUF_INIT;
	enum fmt_status status;

	if (try_lists(toc, 700, err) < 0 ||
	    bkp_pg_choice_read(choice, err) < 0 ||
	    try_script(toc, 700, err) < 0)
		return -1;
	bkp_pg_choice_complete(choice);
	status = bkp_pg_toc_wanted(toc, wanted);
	if (status == FMT_OK)
		status = bkp_pg_toc_key(wanted, "schema", "name");
	if (status == FMT_OK)
		status = bkp_pg_toc_split(&key, &index, &constraint);
	fmt_buf_free(&index);
	fmt_buf_free(&constraint);
	return status == FMT_OK ? 0 : bkp_fail_format(err, status, "lists");
}

static void
memory_that_runs_out_is_told_wherever_it_does(void **state)
{
	int rc = -1;

	(void)state;
	for (int n = 0; rc < 0; n++) {
		struct bkp_pg_toc toc = BKP_PG_TOC_INIT;
		struct bkp_pg_choice choice = BKP_PG_CHOICE_INIT;
		struct fmt_buf wanted = FMT_BUF_INIT;
		struct bkp_error err = BKP_ERROR_INIT;

		fill(&toc.after, list);
		fill(&choice.list, list);
		failing_alloc_at(n);
		rc = read_all(&toc, &choice, &wanted, &err);
		assert_int_equal(failing_alloc_end(), rc < 0);
		if (rc < 0)
			assert_int_equal(err.code, BKP_NOMEM);
		bkp_pg_toc_free(&toc);
		bkp_pg_choice_free(&choice);
		fmt_buf_free(&wanted);
		assert_true(n < 200);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(attached_indexes_go_back_in_a_step_of_their_own),
	    cmocka_unit_test(
		what_a_server_keeps_for_superusers_is_told_by_its_kind),
	    cmocka_unit_test(a_line_tells_a_name_and_an_owner),
	    cmocka_unit_test(lists_tell_what_waits_for_what),
	    cmocka_unit_test(what_waits_for_something_late_is_late),
	    cmocka_unit_test(
		the_script_is_asked_for_tables_and_what_is_not_late),
	    cmocka_unit_test(statements_belong_to_their_items),
	    cmocka_unit_test(an_item_that_the_script_lacks_is_late),
	    cmocka_unit_test(lists_and_scripts_may_be_cut_anywhere),
	    cmocka_unit_test(a_key_is_what_the_script_calls_a_table),
	    cmocka_unit_test(keys_become_an_index_and_a_constraint_of_it),
	    cmocka_unit_test(anything_else_stays_in_one_piece),
	    cmocka_unit_test(memory_that_runs_out_is_told_wherever_it_does),
	};

	return cmocka_run_group_tests_name("postgres toc", tests, NULL, NULL);
}
