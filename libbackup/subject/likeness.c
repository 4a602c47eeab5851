/* SPDX-License-Identifier: Apache-2.0 */
/* What a column's name and type give away: references without a foreign key,
 * and keys of objects in buckets. */
#include <ctype.h>
#include <string.h>

#include "libbackup/subject/review_own.h"

#define NAME_MAX_BYTES 64

/* The name in lower case with '_' between its words ("userId": "user_id"), and
 * its last word. */
struct words {
	char text[NAME_MAX_BYTES * 2 + 1];
	const char *last; /* in text */
	size_t stem;      /* bytes before the last word and its '_'; 0: none */
};

static void
split(const char *name, struct words *out)
{
	size_t len = 0;

	for (size_t i = 0; name[i] != '\0' && i < NAME_MAX_BYTES; i++) {
		unsigned char c = (unsigned char)name[i];
		bool is_new =
		    isupper(c) && i > 0 && islower((unsigned char)name[i - 1]);

		if (is_new)
			out->text[len++] = '_';
		out->text[len++] =
		    c == '-' || c == ' ' || c == '.' ? '_' : (char)tolower(c);
	}
	out->text[len] = '\0';
	out->last = strrchr(out->text, '_');
	out->stem = out->last != NULL ? (size_t)(out->last - out->text) : 0;
	out->last = out->last != NULL ? out->last + 1 : out->text;
}

static bool
is_one_of(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

bool
bkp_subject_has_word(const char *name, const char *const *list)
{
	struct words words;
	char *word = words.text, *end;

	split(name, &words);
	for (; word != NULL; word = end != NULL ? end + 1 : NULL) {
		if ((end = strchr(word, '_')) != NULL)
			*end = '\0';
		if (is_one_of(word, list))
			return true;
	}
	return false;
}

static bool
is_text(const struct bkp_model_column *column)
{
	return column->type_oid == 25 || column->type_oid == 1043 ||
	       column->type_oid == 1042;
}

/* Integers, uuid, text and numeric: what keys are made of. */
static bool
can_refer(const struct bkp_model_column *column)
{
	if (column->is_composite || column->is_generated)
		return false;
	if (column->is_array)
		return column->kind == FMT_PGJSON_INTEGER ||
		       column->kind == FMT_PGJSON_EXACT ||
		       column->kind == FMT_PGJSON_TEXT;
	return column->kind == FMT_PGJSON_INTEGER ||
	       column->kind == FMT_PGJSON_EXACT || column->type_oid == 2950 ||
	       is_text(column);
}

/* ---- which table is meant ---- */

/* "user", of `len` bytes, names users, user, app_users, "User"... */
static bool
names_table(const char *stem, size_t len, const struct bkp_model_table *table)
{
	struct words words;
	const char *name = words.text;
	size_t name_len;

	/* Asked of every table for every column: most are told apart here. */
	if (len == 0 || tolower((unsigned char)table->name[0]) != stem[0])
		return false;
	split(table->name, &words);
	if ((name_len = strlen(name)) < len)
		return false;
	if (strncmp(name, stem, len) == 0 &&
	    (name_len == len || strcmp(name + len, "s") == 0 ||
		strcmp(name + len, "es") == 0))
		return true;
	/* company, companies */
	return stem[len - 1] == 'y' && name_len == len + 2 &&
	       strncmp(name, stem, len - 1) == 0 &&
	       strcmp(name + len - 1, "ies") == 0;
}

static const struct bkp_model_column *
single_key(const struct bkp_model_table *table)
{
	return table->key_count == 1 ? &table->columns[table->key[0]] : NULL;
}

static bool
is_same_type(const struct bkp_model_column *a, const struct bkp_model_column *b)
{
	bool is_number =
	    a->kind == FMT_PGJSON_INTEGER || a->kind == FMT_PGJSON_EXACT;

	if (a->is_array)
		return a->kind == b->kind;
	return a->type_oid == b->type_oid || (is_text(a) && is_text(b)) ||
	       (is_number && (b->kind == FMT_PGJSON_INTEGER ||
				 b->kind == FMT_PGJSON_EXACT));
}

static size_t
find_target(const struct bkp_model *model, const struct words *words,
    size_t stem, const struct bkp_model_column *column)
{
	for (size_t i = 0; stem > 0 && i < model->table_count; i++) {
		const struct bkp_model_column *key =
		    single_key(&model->tables[i]);

		if (key != NULL && is_same_type(column, key) &&
		    names_table(words->text, stem, &model->tables[i]))
			return i;
	}
	return SIZE_MAX;
}

/* A table whose key has the name of the column, where that says something. */
static size_t
find_key(const struct bkp_model *model, size_t table,
    const struct bkp_model_column *column)
{
	static const char *const common[] = {"id", "uuid", "guid", "key",
	    "name", "code", "slug", "number", "type", "version", "value",
	    "date", "position", "locale", "language", NULL};

	if (is_one_of(column->name, common))
		return SIZE_MAX;
	for (size_t i = 0; i < model->table_count; i++) {
		const struct bkp_model_column *key =
		    single_key(&model->tables[i]);

		if (i != table && key != NULL && is_same_type(column, key) &&
		    strcmp(key->name, column->name) == 0)
			return i;
	}
	return SIZE_MAX;
}

/* film_id of film is its own key. */
static bool
is_own_key(const struct bkp_model_table *table, size_t column,
    const struct words *words)
{
	const struct bkp_model_column *key = single_key(table);

	return key == &table->columns[column] &&
	       (words->stem == 0 ||
		   names_table(words->text, words->stem, table));
}

enum bkp_likeness
bkp_subject_likeness(
    const struct bkp_model *model, size_t table, size_t column, size_t *target)
{
	static const char *const references[] = {"id", "ids", "uuid", "uuids",
	    "guid", "guids", "by", "ref", "refs", "fk", NULL};
	static const char *const objects[] = {"path", "paths", "url", "urls",
	    "uri", "file", "files", "filename", "key", "keys", NULL};
	const struct bkp_model_table *t = &model->tables[table];
	const struct bkp_model_column *c = &t->columns[column];
	struct words words;

	*target = SIZE_MAX;
	split(c->name, &words);
	if (is_own_key(t, column, &words))
		return BKP_LIKE_NOTHING;
	if (can_refer(c)) {
		bool is_named =
		    words.stem > 0 && is_one_of(words.last, references);

		*target = find_target(model, &words,
		    is_named ? words.stem : strlen(words.text), c);
		if (*target == SIZE_MAX)
			*target = find_key(model, table, c);
		if (is_named || *target != SIZE_MAX)
			return BKP_LIKE_REFERENCE;
	}
	if (words.stem > 0 && is_one_of(words.last, objects) &&
	    (is_text(c) || c->kind == FMT_PGJSON_JSON ||
		(c->is_array && c->kind == FMT_PGJSON_TEXT)))
		return BKP_LIKE_OBJECT;
	return BKP_LIKE_NOTHING;
}
