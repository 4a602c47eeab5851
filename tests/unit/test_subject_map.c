/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "formats/buf.h"
#include "libbackup/subject/map.h"
#include "libbackup/subject/names.h"
#include "tests/unit/failing_alloc.h"

#define HEAD "version: 1\nsubject: {table: public.users, key: [id]}\n"

static struct bkp_map map;

static const struct bkp_map *
parse(const char *text)
{
	struct bkp_error err = BKP_ERROR_INIT;

	bkp_map_free(&map);
	if (bkp_map_parse("m.yaml", text, strlen(text), &map, &err) < 0)
		fail_msg("%s", err.message);
	return &map;
}

/* The message with which the text is refused is this one. */
static void
refuse(const char *text, const char *message)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_map none = BKP_MAP_INIT;

	assert_int_equal(
	    bkp_map_parse("m.yaml", text, strlen(text), &none, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	assert_string_equal(err.message, message);
	assert_null(none.path);
}

static int
free_map(void **state)
{
	(void)state;
	bkp_map_free(&map);
	return 0;
}

static const char whole[] =
    "version: 1\n"
    "subject:\n"
    "  table: public.users\n"
    "  key: [id]\n"
    "  label: Your account\n"
    "edges:\n"
    "  \"public.orders(user_id) -> public.users(id)\": own\n"
    "  \"public.orders(product_id) -> public.products(id)\":\n"
    "    lookup: [name, price]\n"
    "  \"public.users(address_id) -> public.addresses(id)\":\n"
    "    own: up\n"
    "  \"public.members(user_id) -> public.users(id)\": {shared: down}\n"
    "  \"public.blocks(creator_id) -> public.users(id)\":\n"
    "    actor: [id, created_at]\n"
    "  \"public.audit(user_id) -> public.users(id)\":\n"
    "    skip: kept for tax law\n"
    "  \"public.notes(user_id) -> public.users(id)\": undecided\n"
    "references:\n"
    "  - from: public.events\n"
    "    columns: [\"(payload->>'user_id')::bigint\"]\n"
    "    to: public.users(id)\n"
    "    when: kind = 'user'\n"
    "    own: down\n"
    "  - {from: public.rooms, columns: member_ids, to: public.users(id),\n"
    "     array: true, undecided: true}\n"
    "files:\n"
    "  - {table: public.users, bucket: uploads, key: avatar_key,\n"
    "     name: \"'avatar.png'\", when: avatar_key <> ''}\n"
    "  - {table: public.users, bucket: uploads,\n"
    "     prefix: \"'u/' || id || '/'\", of: shared}\n"
    "tables:\n"
    "  public.users:\n"
    "    label: Account\n"
    "    purpose: running your account\n"
    "    retention: as long as there is an account\n"
    "    origin: provided\n"
    "    columns:\n"
    "      password_hash: {omit: a credential}\n"
    "      phone: {mask: true}\n"
    "      invited_by: {pseudonym: users}\n"
    "      ref: {plain: true}\n"
    "      state: {label: State, origin: derived,\n"
    "              values: {b: blocked, a: active}}\n"
    "      odd_id: undecided\n"
    "  public.migrations:\n"
    "    skip: holds no personal data\n"
    "  public.queue: undecided\n";

static const struct bkp_map_edge *
edge(const char *id)
{
	const struct bkp_map_edge *found = bkp_map_edge(&map, id);

	if (found == NULL)
		fail_msg("no edge %s", id);
	return found;
}

static void
every_decision_about_an_edge_is_read(void **state)
{
	const struct bkp_map_edge *e;

	(void)state;
	parse(whole);
	assert_int_equal(map.edge_count, 9);
	e = edge("public.orders(user_id) -> public.users(id)");
	assert_int_equal(e->decided, BKP_OWN);
	assert_false(e->is_up || e->is_declared);
	assert_int_equal(e->line, 7);
	e = edge("public.orders(product_id) -> public.products(id)");
	assert_int_equal(e->decided, BKP_LOOKUP);
	assert_int_equal(e->columns.count, 2);
	assert_string_equal(e->columns.items[1], "price");
	e = edge("public.users(address_id) -> public.addresses(id)");
	assert_true(e->decided == BKP_OWN && e->is_up);
	e = edge("public.members(user_id) -> public.users(id)");
	assert_true(e->decided == BKP_SHARED && !e->is_up);
	e = edge("public.blocks(creator_id) -> public.users(id)");
	assert_true(e->decided == BKP_ACTOR && e->columns.count == 2);
	e = edge("public.audit(user_id) -> public.users(id)");
	assert_int_equal(e->decided, BKP_SKIP);
	assert_string_equal(e->reason, "kept for tax law");
	e = edge("public.notes(user_id) -> public.users(id)");
	assert_int_equal(e->decided, BKP_UNDECIDED);
	assert_null(bkp_map_edge(&map, "public.a(b) -> public.c(d)"));
}

static void
a_declared_reference_is_an_edge_with_a_name_of_its_own(void **state)
{
	const struct bkp_map_edge *e;

	(void)state;
	parse(whole);
	e = edge("public.events((payload->>'user_id')::bigint) -> "
		 "public.users(id) when kind = 'user'");
	assert_true(e->is_declared && e->decided == BKP_OWN && !e->is_array);
	assert_string_equal(e->child, "public.events");
	assert_string_equal(e->parent, "public.users");
	assert_string_equal(e->parent_columns.items[0], "id");
	assert_string_equal(e->when, "kind = 'user'");
	e = edge("public.rooms(member_ids) -> public.users(id)");
	assert_true(e->is_array && e->decided == BKP_UNDECIDED);
}

static void
tables_columns_and_files_are_read(void **state)
{
	const struct bkp_map_table *users;
	const struct bkp_map_column *column;

	(void)state;
	parse(whole);
	assert_string_equal(map.table, "public.users");
	assert_string_equal(map.key.items[0], "id");
	assert_string_equal(map.label, "Your account");
	users = bkp_map_table(&map, "public.users");
	assert_non_null(users);
	assert_string_equal(users->label, "Account");
	assert_string_equal(users->purpose, "running your account");
	assert_string_equal(users->retention, "as long as there is an account");
	assert_int_equal(users->origin, BKP_PROVIDED);
	column = bkp_map_column(users, "password_hash");
	assert_int_equal(column->treatment, BKP_OMIT);
	assert_string_equal(column->reason, "a credential");
	assert_int_equal(bkp_map_column(users, "phone")->treatment, BKP_MASK);
	column = bkp_map_column(users, "invited_by");
	assert_int_equal(column->treatment, BKP_PSEUDONYM);
	assert_string_equal(column->realm, "users");
	assert_true(bkp_map_column(users, "ref")->is_plain);
	assert_true(bkp_map_column(users, "odd_id")->is_undecided);
	column = bkp_map_column(users, "state");
	assert_int_equal(column->origin, BKP_DERIVED);
	assert_string_equal(column->values[0].value, "a");
	assert_string_equal(column->values[1].label, "blocked");
	assert_null(bkp_map_column(users, "none"));
	assert_null(bkp_map_column(NULL, "none"));
	assert_string_equal(bkp_map_table(&map, "public.migrations")->skip,
	    "holds no personal data");
	assert_true(bkp_map_table(&map, "public.queue")->is_undecided);
	assert_null(bkp_map_table(&map, "public.none"));
	assert_int_equal(map.file_count, 2);
	assert_string_equal(map.files[0].key, "avatar_key");
	assert_string_equal(map.files[0].name, "'avatar.png'");
	assert_string_equal(map.files[1].prefix, "'u/' || id || '/'");
	assert_false(map.files[0].is_shared);
	assert_true(map.files[1].is_shared);
}

static void
the_digest_is_of_the_bytes(void **state)
{
	char before[65];

	(void)state;
	parse(HEAD);
	memcpy(before, map.sha256, sizeof(before));
	assert_int_equal(strlen(before), 64);
	parse(HEAD "# a comment\n");
	assert_string_not_equal(before, map.sha256);
}

static void
sections_may_be_empty_or_missing(void **state)
{
	(void)state;
	parse(HEAD);
	assert_int_equal(map.edge_count, 0);
	assert_null(bkp_map_edge(&map, "x"));
	assert_null(bkp_map_table(&map, "x"));
	parse(HEAD "edges:\nreferences:\nfiles:\ntables:\n");
	parse(HEAD "tables:\n  public.a:\n");
	assert_non_null(bkp_map_table(&map, "public.a"));
}

static void
names_are_the_same_however_they_are_written(void **state)
{
	(void)state;
	parse(HEAD
	    "edges:\n"
	    "  'public.Orders( B ,\"a\")->\"public\".users(y,X)': own\n"
	    "  'public.\"Odd \"\"Name\"(\"order\") -> public.t(\"1\")': own\n"
	    "tables:\n"
	    "  '\"public\" . \"users\"': {label: x}\n");
	edge("public.orders(a, b) -> public.users(x, y)");
	edge("public.\"Odd \"\"Name\"(order) -> public.t(\"1\")");
	assert_non_null(bkp_map_table(&map, "public.users"));
}

static void
an_unknown_key_names_the_one_that_was_meant(void **state)
{
	(void)state;
	refuse(HEAD "edgs:\n",
	    "m.yaml:3: unknown key 'edgs'; did you mean 'edges'?");
	refuse(HEAD "tables:\n  public.a:\n    lable: x\n",
	    "m.yaml:5: unknown key 'lable'; did you mean 'label'?");
	refuse(HEAD
	    "tables:\n  public.a:\n    columns:\n      c: {maks: true}\n",
	    "m.yaml:6: unknown key 'maks'; did you mean 'mask'?");
	refuse(HEAD "edges:\n  a.b(c) -> d.e(f): {actors: [x]}\n",
	    "m.yaml:4: unknown key 'actors'; did you mean 'actor'?");
	refuse(HEAD "tables:\n  public.a: {zebra: x}\n",
	    "m.yaml:4: unknown key 'zebra' in a table; "
	    "backup-export-map(5) lists the keys");
}

static void
what_is_decided_twice_is_refused(void **state)
{
	(void)state;
	refuse(HEAD "edges:\n  a.b(c) -> d.e(f): own\n"
		    "  a.b( c )->d.e(f): shared\n",
	    "m.yaml:5: the edge a.b(c) -> d.e(f) is decided twice; the first "
	    "is on line 4");
	refuse(HEAD "tables:\n  a.b: {label: x}\n  a.b: {label: y}\n",
	    "m.yaml:5: the table a.b is decided twice; the first is on line "
	    "4");
	refuse(HEAD "tables:\n  a.b:\n    columns:\n      c: {plain: true}\n"
		    "      c: {mask: true}\n",
	    "m.yaml:7: the column c is decided twice; the first is on line 6");
	refuse(HEAD "edges:\nedges:\n",
	    "m.yaml:4: 'edges' is given twice; the first is on line 3");
	refuse(HEAD "edges:\n  a.b(c) -> d.e(f): {own: down, skip: x}\n",
	    "m.yaml:4: one decision: 'own' or 'skip'");
	refuse(HEAD "tables:\n  a.b:\n    columns:\n"
		    "      c: {mask: true, omit: x}\n",
	    "m.yaml:6: a column has one treatment: omit, mask or pseudonym");
	refuse(HEAD "tables:\n  a.b:\n    columns:\n"
		    "      c: {values: {1: x, \"1\": y}}\n",
	    "m.yaml:6: the value '1' has two labels");
}

static void
a_decision_needs_what_belongs_to_it(void **state)
{
	(void)state;
	refuse(HEAD "edges:\n  a.b(c) -> d.e(f): skip\n",
	    "m.yaml:4: 'skip' needs its reason: {skip: why}");
	refuse(HEAD "edges:\n  a.b(c) -> d.e(f): {skip: \" \"}\n",
	    "m.yaml:4: 'skip' is empty");
	refuse(HEAD "edges:\n  a.b(c) -> d.e(f): lookup\n",
	    "m.yaml:4: 'lookup' needs its columns: {lookup: [name]}");
	refuse(HEAD "edges:\n  a.b(c) -> d.e(f): {actor: []}\n",
	    "m.yaml:4: 'actor' is empty");
	refuse(HEAD "edges:\n  a.b(c) -> d.e(f): {own: left}\n",
	    "m.yaml:4: 'own' goes down, from the referenced row to those that "
	    "refer to it, or up");
	refuse(HEAD "edges:\n  a.b(c) -> d.e(f): mine\n",
	    "m.yaml:4: 'mine' is no decision: own, shared, {actor: [columns]}"
	    ", {lookup: [columns]}, {skip: why} or undecided");
	refuse(HEAD "tables:\n  a.b:\n    columns:\n      c: {omit: }\n",
	    "m.yaml:6: 'omit' needs a text; it has no value");
	refuse(HEAD "references:\n  - {columns: x, to: a.b(c)}\n",
	    "m.yaml:4: a reference needs 'from'");
	refuse(HEAD "references:\n"
		    "  - {from: a.b, columns: [x, y], to: a.b(c), own: down}\n",
	    "m.yaml:4: a reference needs as many columns on both sides: 2 are "
	    "not 1");
	refuse(HEAD "files:\n  - {table: a.b, bucket: c, key: k, of: all}\n",
	    "m.yaml:4: 'of' is 'own' (the objects that owned rows name) or "
	    "'shared' (those of shared rows, too)");
	refuse(HEAD "files:\n  - {table: a.b, bucket: c}\n",
	    "m.yaml:4: an entry of 'files' needs 'key' (an object) or "
	    "'prefix' (all below it), one of them");
}

static void
what_an_erasure_makes_of_it_is_read(void **state)
{
	(void)state;
	parse(HEAD "edges:\n"
		   "  a.b(c) -> d.e(f): {skip: why, erase: delete}\n"
		   "  a.b(d) -> d.e(f): {own: down, erase: clear}\n"
		   "  a.b(e) -> d.e(f): {own: down, erase: null}\n"
		   "  a.b(f) -> d.e(f): {erase: keep, own: up}\n"
		   "  a.b(g) -> d.e(f): own\n"
		   "references:\n"
		   "  - {from: a.b, columns: x, to: d.e(f), own: down,\n"
		   "     erase: keep}\n");
	assert_int_equal(edge("a.b(c) -> d.e(f)")->erase, BKP_ERASE_DELETE);
	assert_int_equal(edge("a.b(c) -> d.e(f)")->decided, BKP_SKIP);
	assert_int_equal(edge("a.b(d) -> d.e(f)")->erase, BKP_ERASE_CLEAR);
	assert_int_equal(edge("a.b(e) -> d.e(f)")->erase, BKP_ERASE_CLEAR);
	assert_int_equal(edge("a.b(f) -> d.e(f)")->erase, BKP_ERASE_KEEP);
	assert_int_equal(edge("a.b(g) -> d.e(f)")->erase, BKP_ERASE_DEFAULT);
	assert_int_equal(edge("a.b(x) -> d.e(f)")->erase, BKP_ERASE_KEEP);
	refuse(HEAD "edges:\n  a.b(c) -> d.e(f): {own: down, erase: it}\n",
	    "m.yaml:4: 'erase' says what becomes of rows that refer to erased "
	    "ones: delete (they go, too), clear (they refer to nothing) or "
	    "keep");
	refuse(HEAD "edges:\n  a.b(c) -> d.e(f): {own: down, erase: }\n",
	    "m.yaml:4: 'erase' says what becomes of rows that refer to erased "
	    "ones: delete (they go, too), clear (they refer to nothing) or "
	    "keep");
	refuse(HEAD "edges:\n  a.b(c) -> d.e(f): {own: down, erase: keep}\n",
	    "m.yaml:4: 'erase: keep' is for references that are declared and "
	    "for 'own: up': a foreign key cannot refer to a row that is gone; "
	    "say delete or clear");
}

static void
what_is_no_map_is_refused(void **state)
{
	(void)state;
	refuse("", "m.yaml is empty; 'backup-export plan' proposes a map");
	refuse("[]", "m.yaml:1: a map is made of 'key: value' lines");
	refuse("version: 2\n",
	    "m.yaml:1: a map of version 2; this program reads version 1");
	refuse("version: 1\n", "m.yaml:1: a map needs 'subject'");
	refuse("version: 1\nsubject: {table: users, key: id}\n",
	    "m.yaml:2: 'users' is no table with its schema, as in "
	    "public.users");
	refuse(HEAD "edges:\n  a.b(c): own\n",
	    "m.yaml:4: 'a.b(c)' is no edge, as in \"public.orders(user_id) -> "
	    "public.users(id)\"");
	refuse(HEAD "edges:\n  a.b(c, d) -> e.f(g): own\n",
	    "m.yaml:4: 'a.b(c, d) -> e.f(g)' is no edge, as in "
	    "\"public.orders(user_id) -> public.users(id)\"");
	refuse(HEAD "tables:\n  a.b:\n    origin: heaven\n",
	    "m.yaml:5: 'origin' is provided (by the person), observed, "
	    "derived, or undecided");
}

static void
sql_that_could_leave_its_brackets_is_refused(void **state)
{
	static const char *const fine[] = {"a", "(a)", "f(a, b)[1]", "'x)y'",
	    "E'\\')' || e", "\"odd ) name\"", "a = 'it''s' and b > 1",
	    "col$1 + 1", "payload->'a'->>'b'", "date_e'2000-01-01)'"};
	static const char *const bad[] = {"", " \n", "a)", "(a", "a) FROM t",
	    "a; DROP TABLE t", "a, b", "a -- b", "a /* b", "'a", "\"a", "$1",
	    "$$a$$", "a[1)", "'a\\' || (b'", "E'\\'"};

	(void)state;
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		if (bkp_subject_expression(fine[i]) != NULL)
			fail_msg(
			    "%s: %s", fine[i], bkp_subject_expression(fine[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (bkp_subject_expression(bad[i]) == NULL)
			fail_msg("%s is fine", bad[i]);
	refuse(HEAD "files:\n  - {table: a.b, bucket: c, key: a) FROM t}\n",
	    "m.yaml:4: 'key' is no SQL expression: a bracket closes none");
	refuse(HEAD "references:\n"
		    "  - {from: a.b, columns: \"a;b\", to: a.b(c)}\n",
	    "m.yaml:4: 'a;b' is neither a column nor an SQL expression: it is "
	    "one expression, without ';'");
}

static void
a_list_that_aliases_multiply_is_refused(void **state)
{
	struct fmt_buf text = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_map none = BKP_MAP_INIT;

	(void)state;
	assert_int_equal(fmt_buf_append_text(&text,
			     HEAD "edges:\n  a.b(c) -> d.e(f): {lookup: &x ["),
	    FMT_OK);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(fmt_buf_append_text(&text, "c,"), FMT_OK);
	assert_int_equal(fmt_buf_append_text(&text, "c]}\n"), FMT_OK);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(fmt_buf_printf(&text,
				     "  a.b(c%d) -> d.e(f): {lookup: *x}\n", i),
		    FMT_OK);
	assert_int_equal(
	    bkp_map_parse("m.yaml", text.data, text.len, &none, &err), -1);
	assert_non_null(strstr(err.message, "the map is too large"));
	fmt_buf_free(&text);
}

static void
a_map_is_loaded_from_its_file(void **state)
{
	char path[] = "/tmp/bkp-map-XXXXXX";
	struct bkp_error err = BKP_ERROR_INIT;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(
	    write(fd, whole, strlen(whole)), (ssize_t)strlen(whole));
	close(fd);
	bkp_map_free(&map);
	assert_int_equal(bkp_map_load(path, &map, &err), 0);
	assert_string_equal(map.path, path);
	assert_int_equal(unlink(path), 0);
	bkp_map_free(&map);
	assert_int_equal(bkp_map_load(path, &map, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_int_equal(bkp_map_load("/", &map, &err), -1);
}

static void
running_out_of_memory_is_reported_wherever_it_happens(void **state)
{
	(void)state;
	for (int n = 0;; n++) {
		struct bkp_error err = BKP_ERROR_INIT;
		struct bkp_map m = BKP_MAP_INIT;
		int rc;

		failing_alloc_at(n);
		rc = bkp_map_parse("m.yaml", whole, strlen(whole), &m, &err);
		if (!failing_alloc_end()) {
			assert_int_equal(rc, 0);
			bkp_map_free(&m);
			break;
		}
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, BKP_NOMEM);
	}
}

#define CASE(name) cmocka_unit_test_teardown(name, free_map)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(every_decision_about_an_edge_is_read),
	    CASE(a_declared_reference_is_an_edge_with_a_name_of_its_own),
	    CASE(tables_columns_and_files_are_read),
	    CASE(the_digest_is_of_the_bytes),
	    CASE(sections_may_be_empty_or_missing),
	    CASE(names_are_the_same_however_they_are_written),
	    CASE(an_unknown_key_names_the_one_that_was_meant),
	    CASE(what_is_decided_twice_is_refused),
	    CASE(a_decision_needs_what_belongs_to_it),
	    CASE(what_an_erasure_makes_of_it_is_read),
	    CASE(what_is_no_map_is_refused),
	    CASE(sql_that_could_leave_its_brackets_is_refused),
	    CASE(a_list_that_aliases_multiply_is_refused),
	    CASE(a_map_is_loaded_from_its_file),
	    CASE(running_out_of_memory_is_reported_wherever_it_happens),
	};

	return cmocka_run_group_tests_name("subject map", tests, NULL, NULL);
}
