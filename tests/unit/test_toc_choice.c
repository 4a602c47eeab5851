/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/toc_choice.h"

/* As pg_restore writes it. */
static const char all[] =
    ";\n; Archive created at some time\n;\n"
    "3459; 0 0 ENCODING - ENCODING \n"
    "6; 2615 16384 SCHEMA - app owner\n"
    "3460; 0 0 COMMENT - SCHEMA app owner\n"
    ";\tdepends on: 6\n"
    "2; 3079 16390 EXTENSION - pg_trgm \n"
    "800; 1247 16391 TYPE app mood owner\n"
    ";\tdepends on: 6\n"
    "801; 1247 16392 DOMAIN app positive owner\n"
    ";\tdepends on: 6\n"
    "300; 1255 16393 FUNCTION app touch() owner\n"
    ";\tdepends on: 6\n"
    "200; 1259 16400 SEQUENCE app counter owner\n"
    ";\tdepends on: 6\n"
    "201; 1259 16401 TABLE app a owner\n"
    ";\tdepends on: 6 800\n"
    "202; 1259 16402 SEQUENCE app a_id owner\n"
    ";\tdepends on: 201 6\n"
    "203; 1259 16403 TABLE app b owner\n"
    ";\tdepends on: 6 801\n"
    "204; 1259 16404 VIEW app both owner\n"
    ";\tdepends on: 201 203 6\n"
    "205; 1259 16405 TABLE app p owner\n"
    ";\tdepends on: 6\n"
    "206; 1259 16406 TABLE app p_1 owner\n"
    ";\tdepends on: 205 6\n"
    "207; 0 0 TABLE ATTACH app p_1 owner\n"
    ";\tdepends on: 206 205\n"
    "208; 1259 16408 TABLE ATTACH odd owner\n"
    "209; 2604 16409 DEFAULT app a n owner\n"
    ";\tdepends on: 200 201\n"
    "210; 0 0 SEQUENCE OWNED BY app counter owner\n"
    ";\tdepends on: 203 200\n"
    "211; 2606 16411 CHECK CONSTRAINT app positive late owner\n"
    ";\tdepends on: 801 300\n"
    "212; 2606 16412 CONSTRAINT app a a_pkey owner\n"
    ";\tdepends on: 201\n"
    "213; 2606 16413 FK CONSTRAINT app b b_a_fkey owner\n"
    ";\tdepends on: 201 212 203\n"
    "214; 1259 16414 INDEX app p_key owner\n"
    ";\tdepends on: 205\n"
    "215; 1259 16415 INDEX app p_1_key owner\n"
    ";\tdepends on: 214 206\n"
    "216; 0 0 INDEX ATTACH app p_1_key owner\n"
    ";\tdepends on: 215 206 214 205\n"
    "217; 2620 16417 TRIGGER app a touch owner\n"
    ";\tdepends on: 300 201\n"
    "218; 6104 16418 PUBLICATION - all owner\n"
    "219; 6106 16419 PUBLICATION TABLE app all a owner\n"
    ";\tdepends on: 218 201\n"
    "220; 0 0 ACL app TABLE a owner\n"
    ";\tdepends on: 201 99999\n";

struct fixture {
	struct bkp_pg_choice choice;
	size_t taken;
};

static void
choose(struct fixture *f, const char *lines)
{
	struct fmt_buf list = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	f->choice = (struct bkp_pg_choice)BKP_PG_CHOICE_INIT;
	assert_int_equal(fmt_buf_append_text(&f->choice.list, all), FMT_OK);
	assert_int_equal(bkp_pg_choice_read(&f->choice, &err), 0);
	assert_int_equal(fmt_buf_append_text(&list, lines), FMT_OK);
	f->taken = bkp_pg_choice_take(&f->choice, &list);
	bkp_pg_choice_complete(&f->choice);
	fmt_buf_free(&list);
}

static void
append_id(char *text, unsigned long id)
{
	char digits[16];
	size_t len = sizeof(digits);

	digits[--len] = '\0';
	do {
		digits[--len] = (char)('0' + id % 10);
		id /= 10;
	} while (id > 0);
	if (*text != '\0')
		strcat(text, " ");
	strcat(text, digits + len);
}

/* What is in, by number, and then what is torn. */
static void
assert_in(struct fixture *f, const char *in, const char *torn)
{
	char its_in[400] = "", its_torn[400] = "";

	for (size_t i = 0; i < f->choice.count; i++) {
		const struct bkp_pg_chosen *entry = &f->choice.entries[i];

		if (bkp_pg_choice_has(
			&f->choice, entry->line.text, entry->line.len))
			append_id(its_in, entry->id);
		if (bkp_pg_choice_is_torn(&f->choice, entry))
			append_id(its_torn, entry->id);
	}
	assert_string_equal(its_in, in);
	assert_string_equal(its_torn, torn);
	bkp_pg_choice_free(&f->choice);
}

static void
a_table_takes_what_it_needs_and_what_belongs_to_it(void **state)
{
	struct fixture f;

	(void)state;
	choose(&f, "201; 1259 16401 TABLE app a owner\n");
	assert_int_equal(f.taken, 1);
	assert_in(&f, "6 200 201 202 209 212 217 220 300 800 3460", "213");
}

static void
what_two_tables_share_is_in_with_both(void **state)
{
	struct fixture f;

	(void)state;
	choose(&f, "; a remark\n201; 1259 1 TABLE a\n203; 1259 2 TABLE b\n");
	assert_int_equal(f.taken, 2);
	assert_in(&f,
	    "6 200 201 202 203 209 210 211 212 213 217 220 300 800 801 3460",
	    "");
	choose(&f, "204; 1259 16404 VIEW app both owner\n");
	assert_in(&f,
	    "6 200 201 202 203 204 209 210 211 212 213 217 220 300 800 801 "
	    "3460",
	    "");
}

static void
a_sequence_takes_no_table(void **state)
{
	struct fixture f;

	(void)state;
	choose(&f, "200; 1259 16400 SEQUENCE app counter owner\n");
	assert_in(&f, "6 200 3460", "");
}

static void
a_partitioned_table_takes_its_partitions_and_not_the_other_way(void **state)
{
	struct fixture f;

	(void)state;
	choose(&f, "205; 1259 16405 TABLE app p owner\n");
	assert_in(&f, "6 205 206 207 214 215 216 3460", "");
	choose(&f, "206; 1259 16406 TABLE app p_1 owner\n");
	assert_in(&f, "6 206 215 3460", "207");
}

static void
a_table_in_a_schema_with_an_odd_name_is_a_table(void **state)
{
	struct fixture f;

	(void)state;
	choose(&f, "208; 1259 16408 TABLE ATTACH odd owner\n");
	assert_int_equal(f.taken, 1);
	assert_in(&f, "208", "");
}

static void
what_is_of_the_whole_database_or_unknown_is_not_taken(void **state)
{
	struct fixture f;

	(void)state;
	choose(&f, "218; 6104 16418 PUBLICATION - all owner\n"
		   "219; 6106 16419 PUBLICATION TABLE app all a owner\n"
		   "220; 0 0 ACL app TABLE a owner\n"
		   "77777; 1259 1 TABLE app none owner\n");
	assert_int_equal(f.taken, 0);
	assert_in(&f, "", "");
}

static void
nothing_is_chosen_of_nothing(void **state)
{
	struct bkp_pg_choice choice = BKP_PG_CHOICE_INIT;
	struct fmt_buf list = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(bkp_pg_choice_read(&choice, NULL), 0);
	assert_int_equal(bkp_pg_choice_take(&choice, &list), 0);
	bkp_pg_choice_complete(&choice);
	assert_false(bkp_pg_choice_has(&choice, "1; ", 3));
	bkp_pg_choice_free(&choice);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		a_table_takes_what_it_needs_and_what_belongs_to_it),
	    cmocka_unit_test(what_two_tables_share_is_in_with_both),
	    cmocka_unit_test(a_sequence_takes_no_table),
	    cmocka_unit_test(
		a_partitioned_table_takes_its_partitions_and_not_the_other_way),
	    cmocka_unit_test(a_table_in_a_schema_with_an_odd_name_is_a_table),
	    cmocka_unit_test(
		what_is_of_the_whole_database_or_unknown_is_not_taken),
	    cmocka_unit_test(nothing_is_chosen_of_nothing),
	};

	return cmocka_run_group_tests_name("toc_choice", tests, NULL, NULL);
}
