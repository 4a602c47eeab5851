/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two descriptions in JSON, member by member, told by where they are:
 *
 *     settings[work_mem].value: recorded "7MB", found "8MB"
 *
 * What a list has is found again by its name, not by its place.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/compare.h"

/* As many differences as are told, and as much of each value. */
#define DIFFERENCES_TOLD 5
#define TOLD 120

struct told {
	struct fmt_buf *what;
	unsigned count;
	enum fmt_status status;
};

/* Where a member is: a chain from the inside out. */
struct where {
	const struct where *outer;
	const char *name;
	bool is_item; /* of a list */
};

static void compare_values(struct told *told, const struct where *where,
    const json_t *recorded, const json_t *found);

static void
add(struct told *told, const char *text, size_t most)
{
	bool is_cut = strlen(text) > most;

	if (told->status == FMT_OK)
		told->status = fmt_buf_printf(
		    told->what, "%.*s%s", (int)most, text, is_cut ? "..." : "");
}

static void
add_where(struct told *told, const struct where *where)
{
	if (where->outer != NULL)
		add_where(told, where->outer);
	if (where->is_item)
		add(told, "[", 1);
	else if (where->outer != NULL)
		add(told, ".", 1);
	add(told, where->name, TOLD);
	if (where->is_item)
		add(told, "]", 1);
}

static void
add_value(struct told *told, const json_t *value)
{
	char *text;

	if (value == NULL) {
		add(told, "nothing", TOLD);
		return;
	}
	text =
	    json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
	if (text == NULL)
		told->status = FMT_NOMEM;
	else
		add(told, text, TOLD);
	free(text);
}

static void
tell(struct told *told, const struct where *where, const json_t *recorded,
    const json_t *found)
{
	if (told->count++ == DIFFERENCES_TOLD)
		add(told, "; ...", TOLD);
	if (told->count > DIFFERENCES_TOLD)
		return;
	if (told->what->len > 0)
		add(told, "; ", TOLD);
	add_where(told, where);
	add(told, ": recorded ", TOLD);
	add_value(told, recorded);
	add(told, ", found ", TOLD);
	add_value(told, found);
}

/* ---- lists ---- */

/* What an item of a list is called; NULL: it has no name. */
static const char *
name_of(const json_t *item)
{
	static const char *const members[] = {"name", "grantee"};
	const char *name = json_string_value(item);

	for (size_t i = 0; name == NULL && i < 2; i++)
		name = json_string_value(json_object_get(item, members[i]));
	return name;
}

/* Whether two items are versions of one thing: all that tells which it is. */
static bool
is_same_thing(const json_t *a, const json_t *b)
{
	static const char *const members[] = {
	    "name", "grantee", "schema", "role", "privilege"};

	if (!json_is_object(a) || !json_is_object(b))
		return json_equal(a, b);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const json_t *x = json_object_get(a, members[i]);
		const json_t *y = json_object_get(b, members[i]);

		if (x != y && !json_equal(x, y))
			return false;
	}
	return true;
}

static const json_t *
find_item(const json_t *list, const json_t *item)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (is_same_thing(json_array_get(list, i), item))
			return json_array_get(list, i);
	return NULL;
}

/* Tells the items of `from` that `in` has not or has otherwise; those that both
 * have once, where from is what was recorded. */
static void
compare_items(struct told *told, const struct where *where, const json_t *from,
    const json_t *in, bool is_recorded)
{
	for (size_t i = 0; i < json_array_size(from); i++) {
		const json_t *item = json_array_get(from, i);
		const json_t *other = find_item(in, item);
		const char *name = name_of(item);
		const struct where here = {where,
		    name != NULL && name[0] != '\0' ? name : "...", true};

		if (is_recorded)
			compare_values(told, &here, item, other);
		else if (other == NULL)
			compare_values(told, &here, NULL, item);
	}
}

static void
compare_lists(struct told *told, const struct where *where,
    const json_t *recorded, const json_t *found)
{
	unsigned before = told->count;

	compare_items(told, where, recorded, found, true);
	compare_items(told, where, found, recorded, false);
	/* The same in another order, or one of them more often. */
	if (told->count == before)
		tell(told, where, recorded, found);
}

/* ---- values ---- */

static void
compare_members(struct told *told, const struct where *where,
    const json_t *recorded, const json_t *found)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)recorded, name, value)
	{
		const struct where here = {where, name, false};

		compare_values(
		    told, &here, value, json_object_get(found, name));
	}
	json_object_foreach((json_t *)(uintptr_t)found, name, value)
	{
		const struct where here = {where, name, false};

		if (json_object_get(recorded, name) == NULL)
			compare_values(told, &here, NULL, value);
	}
}

static void
compare_values(struct told *told, const struct where *where,
    const json_t *recorded, const json_t *found)
{
	if (recorded != NULL && found != NULL && json_equal(recorded, found))
		return;
	if (json_is_object(recorded) && json_is_object(found))
		compare_members(told, where, recorded, found);
	else if (json_is_array(recorded) && json_is_array(found))
		compare_lists(told, where, recorded, found);
	else
		tell(told, where, recorded, found);
}

static bool
parse(const struct fmt_buf *text, json_t **out)
{
	return text->len > 0 && text->data[0] == '{' &&
	       fmt_json_parse((const char *)text->data, text->len, out) ==
		   FMT_OK &&
	       json_is_object(*out);
}

bool
bkp_compare_json(const struct fmt_buf *recorded, const struct fmt_buf *found,
    struct fmt_buf *what, int *equal, struct bkp_error *err)
{
	struct told told = {.what = what, .status = FMT_OK};
	json_t *a = NULL, *b = NULL;
	bool are_json = parse(recorded, &a) && parse(found, &b);

	if (are_json) {
		compare_members(&told, NULL, a, b);
		*equal = told.count == 0 ? 1 : 0;
		if (told.status != FMT_OK)
			*equal = bkp_fail_format(
			    err, told.status, "telling a difference");
	}
	json_decref(a);
	json_decref(b);
	return are_json;
}
