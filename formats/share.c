/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a backup that several processes make. */
#include "formats/share.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/record.h"
#include "formats/share_impl.h"
#include "formats/sign.h"

/* Whoever knows the first alone would leave the ranges of buckets to nobody:
 * a plan that has some is none for him. */
#define VERSION 1
#define VERSION_RANGES 2

bool
fmt_share_is_run(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t len = strlen(name);

	return len > 0 && len <= FMT_SHARE_NAME_MAX &&
	       strspn(name, allowed) == len && strchr("._-", name[0]) == NULL;
}

static void
free_database(struct fmt_share_database *database)
{
	free(database->source);
	free(database->name);
	free(database->path);
	free(database->snapshot);
	free(database->moment);
	free(database->system);
	free(database->encoding);
}

static void
free_table(struct fmt_share_table *table)
{
	free(table->schema);
	free(table->name);
	for (size_t i = 0; i < table->column_count; i++)
		free(table->columns[i]);
	free(table->columns);
}

void
fmt_share_plan_free(struct fmt_share_plan *plan)
{
	for (size_t i = 0; i < plan->database_count; i++)
		free_database(&plan->databases[i]);
	for (size_t i = 0; i < plan->table_count; i++)
		free_table(&plan->tables[i]);
	for (size_t i = 0; i < plan->bucket_count; i++)
		fmt_share_bucket_free(&plan->buckets[i]);
	for (size_t i = 0; i < plan->range_count; i++)
		free(plan->ranges[i].last);
	free(plan->databases);
	free(plan->tables);
	free(plan->tasks);
	free(plan->buckets);
	free(plan->ranges);
	*plan = (struct fmt_share_plan)FMT_SHARE_PLAN_INIT;
}

/* ---- what makes sense ---- */

static bool
is_valid_task(
    const struct fmt_share_plan *plan, const struct fmt_share_task *task)
{
	const struct fmt_share_table *table;

	if (task->table >= plan->table_count || task->pieces == 0 ||
	    task->pieces > FMT_SHARE_PIECES || task->first > INT64_MAX ||
	    task->bytes > INT64_MAX)
		return false;
	table = &plan->tables[task->table];
	if (table->range_pages == 0)
		return task->first == 0 && task->pieces == 1 && task->is_open;
	return task->first % table->range_pages == 0 &&
	       table->range_pages <= UINT32_MAX &&
	       task->first <= UINT32_MAX; /* there are no more pages */
}

/* Whoever reads a plan finds what is of one database, and of one table, in one
 * place. */
static bool
is_ordered(const struct fmt_share_plan *plan)
{
	for (size_t i = 1; i < plan->table_count; i++)
		if (plan->tables[i].database < plan->tables[i - 1].database)
			return false;
	for (size_t i = 1; i < plan->task_count; i++) {
		const struct fmt_share_task *last = &plan->tasks[i - 1];
		const struct fmt_share_task *task = &plan->tasks[i];

		if (task->table < last->table ||
		    (task->table == last->table && task->first <= last->first))
			return false;
	}
	return true;
}

static bool
is_valid(const struct fmt_share_plan *plan)
{
	if (!fmt_is_hex(plan->repository, 32) ||
	    !fmt_is_hex(plan->session, 32) || !fmt_share_is_run(plan->run) ||
	    plan->time_us < 0)
		return false;
	for (size_t i = 0; i < plan->table_count; i++)
		if (plan->tables[i].database >= plan->database_count)
			return false;
	for (size_t i = 0; i < plan->task_count; i++)
		if (!is_valid_task(plan, &plan->tasks[i]))
			return false;
	return is_ordered(plan) && fmt_share_has_valid_ranges(plan);
}

/* ---- writing ---- */

static json_t *
database_value(const struct fmt_share_database *database)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "source",
	    database->source, "name", database->name, "path", database->path,
	    "snapshot", database->snapshot, "moment", database->moment,
	    "system", database->system, "encoding", database->encoding);
}

static json_t *
table_value(const struct fmt_share_table *table)
{
	json_t *columns = json_array();

	for (size_t i = 0; columns != NULL && i < table->column_count; i++)
		if (json_array_append_new(
			columns, json_string(table->columns[i])) < 0) {
			json_decref(columns);
			columns = NULL;
		}
	if (columns == NULL)
		return NULL;
	return json_pack("{s:I, s:s, s:s, s:o, s:s, s:I}", "database",
	    (json_int_t)table->database, "schema", table->schema, "name",
	    table->name, "columns", columns, "form",
	    fmt_copy_form_name(table->form), "range_pages",
	    (json_int_t)table->range_pages);
}

static json_t *
task_value(const struct fmt_share_task *task)
{
	return json_pack("[I, I, I, b, I]", (json_int_t)task->table,
	    (json_int_t)task->first, (json_int_t)task->pieces, task->is_open,
	    (json_int_t)task->bytes);
}

static json_t *
databases_value(const struct fmt_share_plan *plan)
{
	json_t *array = json_array();
	bool failed = array == NULL;

	for (size_t i = 0; !failed && i < plan->database_count; i++)
		failed = json_array_append_new(
			     array, database_value(&plan->databases[i])) < 0;
	if (failed)
		json_decref(array);
	return failed ? NULL : array;
}

static json_t *
tables_value(const struct fmt_share_plan *plan)
{
	json_t *array = json_array();
	bool failed = array == NULL;

	for (size_t i = 0; !failed && i < plan->table_count; i++)
		failed = json_array_append_new(
			     array, table_value(&plan->tables[i])) < 0;
	if (failed)
		json_decref(array);
	return failed ? NULL : array;
}

static json_t *
tasks_value(const struct fmt_share_plan *plan)
{
	json_t *array = json_array();
	bool failed = array == NULL;

	for (size_t i = 0; !failed && i < plan->task_count; i++)
		failed = json_array_append_new(
			     array, task_value(&plan->tasks[i])) < 0;
	if (failed)
		json_decref(array);
	return failed ? NULL : array;
}

/* What json_string refuses is not UTF-8. */
static bool
is_text(const struct fmt_share_plan *plan)
{
	for (size_t i = 0; i < plan->database_count; i++) {
		const struct fmt_share_database *d = &plan->databases[i];

		if (!fmt_utf8_is_valid(d->name) ||
		    !fmt_utf8_is_valid(d->source) ||
		    !fmt_utf8_is_valid(d->path) ||
		    !fmt_utf8_is_valid(d->moment))
			return false;
	}
	for (size_t i = 0; i < plan->table_count; i++) {
		const struct fmt_share_table *t = &plan->tables[i];

		if (!fmt_utf8_is_valid(t->schema) ||
		    !fmt_utf8_is_valid(t->name))
			return false;
		for (size_t k = 0; k < t->column_count; k++)
			if (!fmt_utf8_is_valid(t->columns[k]))
				return false;
	}
	return true;
}

enum fmt_status
fmt_share_plan_encode(const struct fmt_share_plan *plan,
    const unsigned char seed[32], struct fmt_buf *out)
{
	enum fmt_status status = FMT_NOMEM;
	json_t *root;
	bool failed;

	if (!is_valid(plan) || !is_text(plan))
		return FMT_MALFORMED;
	root = json_object();
	failed = root == NULL;
	fmt_json_set(root, "type", json_string("share-plan"), &failed);
	fmt_json_set(root, "version",
	    json_integer(plan->range_count > 0 ? VERSION_RANGES : VERSION),
	    &failed);
	fmt_json_set(
	    root, "repository", json_string(plan->repository), &failed);
	fmt_json_set(root, "run", json_string(plan->run), &failed);
	fmt_json_set(root, "session", json_string(plan->session), &failed);
	fmt_json_set(root, "host", json_string(plan->host), &failed);
	fmt_json_set(root, "time_us", json_integer(plan->time_us), &failed);
	fmt_json_set(root, "databases", databases_value(plan), &failed);
	fmt_json_set(root, "tables", tables_value(plan), &failed);
	fmt_json_set(root, "tasks", tasks_value(plan), &failed);
	if (plan->range_count > 0) {
		fmt_json_set(
		    root, "buckets", fmt_share_buckets_value(plan), &failed);
		fmt_json_set(
		    root, "ranges", fmt_share_ranges_value(plan), &failed);
	}
	if (!failed)
		status =
		    fmt_record_encode(root, FMT_SHARE_PLAN_CONTEXT, seed, out);
	json_decref(root);
	return status;
}

/* ---- reading ---- */

enum fmt_status
fmt_share_get_new_text(const json_t *object, const char *key, char **out)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text == NULL)
		return FMT_MALFORMED;
	return (*out = strdup(text)) != NULL ? FMT_OK : FMT_NOMEM;
}

bool
fmt_share_get_text(
    const json_t *object, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text == NULL || strlen(text) >= size)
		return false;
	(void)snprintf(out, size, "%s", text);
	return true;
}

enum fmt_status
fmt_share_get_array(const json_t *object, const char *key, size_t item_size,
    void *items, size_t *count)
{
	const json_t *array = json_object_get(object, key);
	void *made;

	if (!json_is_array(array))
		return FMT_MALFORMED;
	*count = 0;
	if (json_array_size(array) == 0)
		return FMT_OK;
	if ((made = calloc(json_array_size(array), item_size)) == NULL)
		return FMT_NOMEM;
	memcpy(items, &made, sizeof(made));
	*count = json_array_size(array);
	return FMT_OK;
}

enum fmt_status
fmt_share_get_u32(const json_t *value, uint32_t *out)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || number > UINT32_MAX)
		return FMT_MALFORMED;
	*out = (uint32_t)number;
	return FMT_OK;
}

static enum fmt_status
get_database(const json_t *object, struct fmt_share_database *out)
{
	const struct {
		const char *key;
		char **text;
	} texts[] = {
	    {"source", &out->source},
	    {"name", &out->name},
	    {"path", &out->path},
	    {"snapshot", &out->snapshot},
	    {"moment", &out->moment},
	    {"system", &out->system},
	    {"encoding", &out->encoding},
	};
	enum fmt_status status = FMT_OK;

	for (size_t i = 0;
	     status == FMT_OK && i < sizeof(texts) / sizeof(*texts); i++)
		status =
		    fmt_share_get_new_text(object, texts[i].key, texts[i].text);
	return status;
}

static enum fmt_status
get_columns(const json_t *object, struct fmt_share_table *out)
{
	const json_t *array = json_object_get(object, "columns");
	enum fmt_status status = fmt_share_get_array(object, "columns",
	    sizeof(*out->columns), &out->columns, &out->column_count);

	for (size_t i = 0; status == FMT_OK && i < out->column_count; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (text == NULL)
			status = FMT_MALFORMED;
		else if ((out->columns[i] = strdup(text)) == NULL)
			status = FMT_NOMEM;
	}
	return status;
}

static enum fmt_status
get_table(const json_t *object, struct fmt_share_table *out)
{
	enum fmt_status status = fmt_share_get_u32(
	    json_object_get(object, "database"), &out->database);

	if (status == FMT_OK)
		status = fmt_share_get_new_text(object, "schema", &out->schema);
	if (status == FMT_OK)
		status = fmt_share_get_new_text(object, "name", &out->name);
	if (status == FMT_OK)
		status = get_columns(object, out);
	if (status == FMT_OK)
		status =
		    fmt_json_get_uint(object, "range_pages", &out->range_pages);
	if (status == FMT_OK &&
	    !fmt_copy_form_parse(
		json_string_value(json_object_get(object, "form")), &out->form))
		status = FMT_MALFORMED;
	return status;
}

static enum fmt_status
get_task(const json_t *array, struct fmt_share_task *out)
{
	const json_t *first = json_array_get(array, 1);
	const json_t *open = json_array_get(array, 3);
	const json_t *bytes = json_array_get(array, 4);
	enum fmt_status status;

	if (json_array_size(array) != 5 || !json_is_integer(first) ||
	    !json_is_boolean(open) || !json_is_integer(bytes) ||
	    json_integer_value(first) < 0 || json_integer_value(bytes) < 0)
		return FMT_MALFORMED;
	out->first = (uint64_t)json_integer_value(first);
	out->is_open = json_is_true(open);
	out->bytes = (uint64_t)json_integer_value(bytes);
	status = fmt_share_get_u32(json_array_get(array, 0), &out->table);
	if (status == FMT_OK)
		status =
		    fmt_share_get_u32(json_array_get(array, 2), &out->pieces);
	return status;
}

static enum fmt_status
fill_arrays(const json_t *root, struct fmt_share_plan *out)
{
	const json_t *databases = json_object_get(root, "databases");
	const json_t *tables = json_object_get(root, "tables");
	const json_t *tasks = json_object_get(root, "tasks");
	enum fmt_status status = fmt_share_get_array(root, "databases",
	    sizeof(*out->databases), &out->databases, &out->database_count);

	for (size_t i = 0; status == FMT_OK && i < out->database_count; i++)
		status = get_database(
		    json_array_get(databases, i), &out->databases[i]);
	if (status == FMT_OK)
		status = fmt_share_get_array(root, "tables",
		    sizeof(*out->tables), &out->tables, &out->table_count);
	for (size_t i = 0; status == FMT_OK && i < out->table_count; i++)
		status = get_table(json_array_get(tables, i), &out->tables[i]);
	if (status == FMT_OK)
		status = fmt_share_get_array(root, "tasks", sizeof(*out->tasks),
		    &out->tasks, &out->task_count);
	for (size_t i = 0; status == FMT_OK && i < out->task_count; i++)
		status = get_task(json_array_get(tasks, i), &out->tasks[i]);
	return status;
}

static enum fmt_status
fill(const json_t *root, void *arg)
{
	struct fmt_share_plan *out = arg;
	enum fmt_status status;

	if (!fmt_share_get_text(root, "run", out->run, sizeof(out->run)) ||
	    !fmt_share_get_text(root, "host", out->host, sizeof(out->host)))
		return FMT_MALFORMED;
	status = fmt_json_get_hex(root, "repository", 32, out->repository);
	if (status == FMT_OK)
		status = fmt_json_get_hex(root, "session", 32, out->session);
	if (status == FMT_OK)
		status = fmt_json_get_int(root, "time_us", &out->time_us);
	if (status == FMT_OK)
		status = fill_arrays(root, out);
	if (status == FMT_OK && !is_valid(out))
		status = FMT_MALFORMED;
	return status;
}

static enum fmt_status
fill_with_ranges(const json_t *root, void *arg)
{
	enum fmt_status status = fmt_share_get_ranges(root, arg);

	return status == FMT_OK ? fill(root, arg) : status;
}

static const struct fmt_record_kind kind = {
    FMT_SHARE_PLAN_CONTEXT, "share-plan", VERSION, fill};
static const struct fmt_record_kind kind_ranges = {
    FMT_SHARE_PLAN_CONTEXT, "share-plan", VERSION_RANGES, fill_with_ranges};

enum fmt_status
fmt_share_plan_decode(const void *data, size_t len, struct fmt_share_plan *out)
{
	struct fmt_share_plan read = FMT_SHARE_PLAN_INIT;
	enum fmt_status status =
	    fmt_record_read(data, len, &kind, &read, read.signer);

	if (status == FMT_UNSUPPORTED)
		status = fmt_record_read(
		    data, len, &kind_ranges, &read, read.signer);
	if (status == FMT_OK)
		*out = read;
	else
		fmt_share_plan_free(&read);
	return status;
}
