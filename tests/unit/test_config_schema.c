/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "libbackup/base/config_fields.h"

static json_t *schema;

static int
load_schema(void **state)
{
	const char *top = getenv("top_srcdir");
	char path[1024];
	json_error_t error;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/tools/schema/backup.schema.json",
	    top != NULL ? top : ".");
	schema = json_load_file(path, 0, &error);
	if (schema == NULL)
		print_error("%s: %s\n", path, error.text);
	return schema != NULL ? 0 : -1;
}

static int
free_schema(void **state)
{
	(void)state;
	json_decref(schema);
	return 0;
}

static const struct config_field *
find(const struct config_field *fields, const char *name)
{
	for (; fields->name != NULL; fields++)
		if (strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

static bool
has_text(const json_t *list, const char *text)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i,
	    item) if (strcmp(json_string_value(item), text) == 0) return true;
	return false;
}

/* Every key of the table is a property, the other way round, and the same are
 * required. */
static void
agree(const char *what, const struct config_field *fields, const json_t *object)
{
	json_t *properties = json_object_get(object, "properties");
	const json_t *required = json_object_get(object, "required");
	const char *key;
	json_t *value;

	assert_true(json_is_object(properties));
	assert_true(
	    json_is_false(json_object_get(object, "additionalProperties")));
	for (const struct config_field *f = fields; f->name != NULL; f++) {
		if (json_object_get(properties, f->name) == NULL)
			fail_msg(
			    "%s: '%s' is missing in the schema", what, f->name);
		if (f->is_required && !has_text(required, f->name))
			fail_msg("%s: '%s' is required", what, f->name);
	}
	json_object_foreach(properties, key, value)
	{
		const struct config_field *field = find(fields, key);

		if (field == NULL)
			fail_msg("%s: '%s' is no key", what, key);
		else if (!field->is_required && has_text(required, key))
			fail_msg("%s: '%s' is not required", what, key);
	}
}

static void
agree_part(const char *name, const struct config_field *fields)
{
	const json_t *parts = json_object_get(schema, "$defs");

	agree(name, fields, json_object_get(parts, name));
}

static void
the_schema_has_the_keys_of_the_tables_and_no_others(void **state)
{
	(void)state;
	agree("the configuration", bkp_config_fields, schema);
	agree_part("repository", bkp_config_repository_fields);
	agree_part("job", bkp_config_job_fields);
	agree_part("storage", bkp_config_storage_fields);
	agree_part("object_lock", bkp_config_object_lock_fields);
	agree_part("retention", bkp_config_retention_fields);
	agree_part("verification", bkp_config_verification_fields);
	agree_part("hooks", bkp_config_hooks_fields);
	agree_part("limits", bkp_config_rates_fields);
	agree_part("hook", bkp_config_hook_fields);
	agree_part("reference", bkp_config_reference_fields);
	agree_part("assertion", bkp_config_assertion_fields);
	agree_part("notification", bkp_config_notification_fields);
}

static void
the_schema_has_each_kind_of_source(void **state)
{
	(void)state;
	for (size_t i = 0; bkp_config_kinds[i].name != NULL; i++)
		agree_part(
		    bkp_config_kinds[i].name, bkp_config_kinds[i].fields);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		the_schema_has_the_keys_of_the_tables_and_no_others),
	    cmocka_unit_test(the_schema_has_each_kind_of_source),
	};

	return cmocka_run_group_tests_name(
	    "config_schema", tests, load_schema, free_schema);
}
