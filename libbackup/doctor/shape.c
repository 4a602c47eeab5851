/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of a configuration: which keys there are, and of their values only
 * numbers, times and words of a list. All else is a name that stands for it, or
 * not there. Follows the tables that the reader follows, so a key of a type
 * that is not known here is not told.
 */
#include <ctype.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_fields.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/doctor/bundle.h"

#define DEPTH_MOST 16
#define VALUE_MOST 24 /* letters of a number or a word */
#define LINE_LEAST 8  /* of a file that is a secret */

struct walk {
	struct bkp_bundle *bundle;
	struct bkp_error *err;
	int depth;
	bool has_failed;
};

static const yaml_node_t *
node_of(const struct walk *walk, int id)
{
	return yaml_document_get_node(&walk->bundle->file.document, id);
}

static void
note(struct walk *walk, int rc)
{
	if (rc < 0)
		walk->has_failed = true;
}

/* The value as it is meant; the caller frees. NULL: it is none. */
static char *
value_of(struct walk *walk, const yaml_node_t *node, const char *key)
{
	char *text = NULL;

	if (bkp_config_scalar(node) == NULL)
		return NULL;
	if (bkp_config_expand(
		&walk->bundle->file, node, key, &text, NULL, NULL) < 0)
		text = bkp_strdup(bkp_config_scalar(node), NULL);
	return text;
}

/* ---- what may be told as it is ---- */

/* "30d", "1h30m", "5%", "22:00-06:00", "10MiB", "8". */
static bool
is_quantity(const char *text)
{
	size_t letters = 0;

	if (!isdigit((unsigned char)*text) || strlen(text) > VALUE_MOST)
		return false;
	for (; *text != '\0'; text++) {
		letters = isalpha((unsigned char)*text) ? letters + 1 : 0;
		if (letters > 3 || (!isalnum((unsigned char)*text) &&
				       strchr("%:-.", *text) == NULL))
			return false;
	}
	return true;
}

static bool
is_word(const char *text)
{
	static const char *const words[] = {"true", "false", "yes", "no", "on",
	    "off", "all", "current", "v2", "v4", "text", "binary", "quick",
	    "sample", "full", "governance", "compliance", "after", "never",
	    "start", "success", "failure", "degraded", "recovery", "idle",
	    "normal", NULL};

	for (size_t i = 0; words[i] != NULL; i++)
		if (strcasecmp(text, words[i]) == 0)
			return true;
	return false;
}

static json_t *
plain(const char *text)
{
	if (text != NULL && (is_quantity(text) || is_word(text)))
		return json_string(text);
	return json_string("(something else)");
}

/* ---- what stands for a name ---- */

static json_t *
alias(struct walk *walk, const char *kind, const char *name)
{
	const char *text = NULL;

	if (name != NULL && *name != '\0')
		text = bkp_redactor_alias(
		    walk->bundle->redactor, kind, name, walk->err);
	else
		return json_string("");
	note(walk, text != NULL ? 0 : -1);
	return json_string(text != NULL ? text : "");
}

/* What is before the '@' in a URL. */
static void
learn_credentials(struct walk *walk, const char *key, const char *text)
{
	const char *begin = strstr(text, "://"), *end, *colon;
	char *part;

	if (begin == NULL)
		return;
	begin += 3;
	end = begin + strcspn(begin, "/?# ");
	while (end > begin && *end != '@')
		end--;
	if (*end != '@')
		return;
	colon = memchr(begin, ':', (size_t)(end - begin));
	begin = colon != NULL ? colon + 1 : begin;
	part = bkp_format(walk->err, "%.*s", (int)(end - begin), begin);
	note(walk, part != NULL ? bkp_redactor_secret(walk->bundle->redactor,
				      key, part, walk->err)
				: -1);
	bkp_secret_free(part);
}

/* "https://minio.example.com:9000" is "https://host-1". */
static json_t *
tell_url(struct walk *walk, const char *kind, const char *text)
{
	const char *host = strstr(text, "://");
	struct bkp_error *err = walk->err;
	const char *name;
	char *part, *whole;
	json_t *value;

	if (host == NULL)
		return alias(walk, kind, text);
	host += 3;
	part = bkp_format(err, "%.*s", (int)strcspn(host, ":/?#"), host);
	name = part != NULL
		   ? bkp_redactor_alias(walk->bundle->redactor,
			 strncmp(text, "s3:", 3) == 0 ? "bucket" : "host", part,
			 err)
		   : NULL;
	whole = name != NULL ? bkp_format(err, "%.*s://%s",
				   (int)strcspn(text, ":"), text, name)
			     : NULL;
	note(walk, whole != NULL ? bkp_redactor_rename(
				       walk->bundle->redactor, text, whole, err)
				 : -1);
	value = json_string(whole != NULL ? whole : "");
	free(part);
	free(whole);
	return value;
}

static const char *
kind_of_parameter(const char *keyword)
{
	static const struct {
		const char *keyword, *kind;
	} kinds[] = {{"host", "host"}, {"hostaddr", "host"},
	    {"dbname", "database"}, {"user", "role"}, {"service", "name"}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].keyword, keyword) == 0)
			return kinds[i].kind;
	return "name";
}

static bool
is_open_parameter(const char *keyword)
{
	static const char *const open[] = {"port", "sslmode", "connect_timeout",
	    "target_session_attrs", "gssencmode", "channel_binding",
	    "keepalives", "client_encoding", NULL};

	for (size_t i = 0; open[i] != NULL; i++)
		if (strcmp(open[i], keyword) == 0)
			return true;
	return false;
}

/* Lower-case words with '-' between, or a number. */
static bool
is_simple(const char *text)
{
	size_t len = strlen(text);

	return len <= VALUE_MOST &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz-0123456789") == len;
}

static json_t *
tell_conninfo(struct walk *walk, const char *text)
{
	PQconninfoOption *options = PQconninfoParse(text, NULL), *option;
	json_t *object = json_object();

	for (option = options; option != NULL && option->keyword != NULL;
	     option++) {
		const char *value = option->val;
		bool is_open;

		if (value == NULL)
			continue;
		is_open =
		    is_open_parameter(option->keyword) && is_simple(value);
		if (strstr(option->keyword, "password") != NULL)
			note(walk, bkp_redactor_secret(walk->bundle->redactor,
				       "conninfo", value, walk->err));
		else
			(void)json_object_set_new(object, option->keyword,
			    is_open ? json_string(value)
				    : alias(walk,
					  kind_of_parameter(option->keyword),
					  value));
	}
	PQconninfoFree(options);
	return object;
}

/* ---- secrets ---- */

static void
learn_file(struct walk *walk, const char *key, const char *path)
{
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	char *at, *line, *rest;

	if (bkp_place_read(path, &text, NULL) == 0 &&
	    fmt_buf_append_byte(&text, '\0') == FMT_OK) {
		rest = (char *)text.data;
		note(walk,
		    strchr(rest, '\n') == NULL || strlen(rest) < LINE_LEAST
			? bkp_redactor_secret(
			      walk->bundle->redactor, key, rest, walk->err)
			: 0);
		while ((line = strtok_r(rest, "\r\n", &at)) != NULL) {
			rest = NULL;
			if (*line != '#')
				note(walk,
				    bkp_redactor_secret(walk->bundle->redactor,
					key, line, walk->err));
		}
	}
	fmt_buf_free(&text);
}

static void
learn_named_file(struct walk *walk, const char *key, const char *text)
{
	char *path = bkp_config_absolute(&walk->bundle->file, text, NULL);

	if (path != NULL)
		learn_file(walk, key, path);
	free(path);
}

/* ---- values ---- */

static const char *
kind_of_key(const char *key)
{
	static const struct {
		const char *key, *kind;
	} kinds[] = {{"endpoint", "host"}, {"bucket", "bucket"},
	    {"bucket_name", "bucket"}, {"prefix", "prefix"},
	    {"region", "region"}, {"databases", "database"}, {"tags", "tag"},
	    {"keep_tags", "tag"}, {"repositories", "repository"},
	    {"sources", "source"}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].key, key) == 0)
			return kinds[i].kind;
	return "name";
}

static json_t *
tell_scalar(struct walk *walk, const struct config_field *field,
    const yaml_node_t *node)
{
	char *text = value_of(walk, node, field->name);
	json_t *value = NULL;

	if (text == NULL)
		return json_null();
	learn_credentials(walk, field->name, text);
	switch (field->type) {
	case FIELD_SECRET:
		note(walk, bkp_redactor_secret(walk->bundle->redactor,
			       field->name, text, walk->err));
		value = json_string("(secret)");
		break;
	case FIELD_SECRET_FILE:
		learn_named_file(walk, field->name, text);
		value = json_string("(a file)");
		break;
	case FIELD_CONNINFO:
		value = tell_conninfo(walk, text);
		break;
	case FIELD_PATH:
		if (strcmp(field->name, "key_file") == 0 ||
		    strcmp(field->name, "identity_file") == 0)
			learn_named_file(walk, field->name, text);
		value = alias(walk, "path", text);
		break;
	case FIELD_LOCATION:
		value = tell_url(walk, "path", text);
		break;
	case FIELD_NAME:
	case FIELD_TEXT:
	case FIELD_FILE_NAME:
	case FIELD_TEXTS:
		value = tell_url(walk, kind_of_key(field->name), text);
		break;
	case FIELD_PATHS:
		value = alias(walk, "path", text);
		break;
	case FIELD_DATABASES:
		value = strcmp(text, "all") == 0
			    ? json_string("all")
			    : alias(walk, "database", text);
		break;
	case FIELD_BOOL:
	case FIELD_SIGNATURE:
	case FIELD_VERSIONS:
	case FIELD_COUNT:
	case FIELD_NUMBER:
	case FIELD_PERCENT:
	case FIELD_DURATION:
	case FIELD_COPY:
	case FIELD_SPAN:
	case FIELD_DROP:
	case FIELD_LEVEL:
	case FIELD_LOCK_MODE:
	case FIELD_DAYS:
	case FIELD_PRUNE:
	case FIELD_WINDOW:
	case FIELD_PRIORITY:
	case FIELD_RATE:
		value = plain(text);
		break;
	default:
		value = json_string("(something)");
		break;
	}
	bkp_secret_free(text);
	return value;
}

/* ---- maps and lists ---- */

static json_t *tell_map(struct walk *walk, const struct config_field *fields,
    const yaml_node_t *node);

/* Of what is not told, secrets are learnt all the same. */
static void
learn_all(
    struct walk *walk, const char *key, const yaml_node_t *node, bool is_secret)
{
	char *text;

	if (node == NULL || walk->depth > DEPTH_MOST)
		return;
	walk->depth++;
	if (node->type == YAML_SEQUENCE_NODE)
		for (yaml_node_item_t *item = node->data.sequence.items.start;
		     item < node->data.sequence.items.top; item++)
			learn_all(walk, key, node_of(walk, *item), is_secret);
	if (node->type == YAML_MAPPING_NODE)
		for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
		     pair < node->data.mapping.pairs.top; pair++) {
			const char *own =
			    bkp_config_scalar(node_of(walk, pair->key));

			learn_all(walk, own != NULL ? own : key,
			    node_of(walk, pair->value), is_secret);
		}
	if ((text = value_of(walk, node, key)) != NULL) {
		size_t len = strlen(key);

		learn_credentials(walk, key, text);
		if (is_secret && !is_quantity(text) && !is_word(text))
			note(walk, bkp_redactor_secret(walk->bundle->redactor,
				       key, text, walk->err));
		if (len > 5 && strcmp(key + len - 5, "_file") == 0)
			learn_named_file(walk, key, text);
		bkp_secret_free(text);
	}
	walk->depth--;
}

static const struct config_field *
find_field(const struct config_field *fields, const char *key)
{
	for (; fields->name != NULL; fields++)
		if (strcmp(fields->name, key) == 0)
			return fields;
	return NULL;
}

/* The kind of a source; its name, too, gets one that stands for it. */
static const struct config_field *
find_kind(struct walk *walk, const yaml_node_t *node)
{
	const struct config_field *found = NULL;

	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     found == NULL && pair < node->data.mapping.pairs.top; pair++) {
		const char *key = bkp_config_scalar(node_of(walk, pair->key));
		const char *name =
		    bkp_config_scalar(node_of(walk, pair->value));

		for (const struct config_kind *kind = bkp_config_kinds;
		     found == NULL && key != NULL && name != NULL &&
		     kind->name != NULL;
		     kind++) {
			struct bkp_redactor *redactor = walk->bundle->redactor;
			char *prefix, *whole;
			const char *own;

			if (strcmp(kind->name, key) != 0)
				continue;
			found = kind->fields;
			own = bkp_redactor_alias(
			    redactor, "source", name, walk->err);
			prefix = bkp_format(walk->err, "%s/%s", key, name);
			whole = bkp_format(walk->err, "%s/%s", key,
			    own != NULL ? own : "source");
			note(walk, prefix != NULL && whole != NULL
				       ? bkp_redactor_rename(
					     redactor, prefix, whole, walk->err)
				       : -1);
			free(prefix);
			free(whole);
		}
	}
	return found;
}

static json_t *
tell_source(struct walk *walk, const yaml_node_t *node)
{
	const struct config_field *fields = NULL;

	if (node != NULL && node->type == YAML_MAPPING_NODE)
		fields = find_kind(walk, node);
	if (fields != NULL)
		return tell_map(walk, fields, node);
	learn_all(walk, "sources", node, true);
	return json_string("(not understood)");
}

static json_t *
tell_named(struct walk *walk, const struct config_field *fields,
    const char *kind, const yaml_node_t *node)
{
	json_t *object = json_object();

	if (node == NULL || node->type != YAML_MAPPING_NODE)
		return object;
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		const char *name = bkp_config_scalar(node_of(walk, pair->key));
		json_t *own = alias(walk, kind, name != NULL ? name : "?");

		(void)json_object_set_new(object, json_string_value(own),
		    tell_map(walk, fields, node_of(walk, pair->value)));
		json_decref(own);
	}
	return object;
}

static json_t *
tell_list(struct walk *walk, const struct config_field *field,
    const yaml_node_t *node)
{
	json_t *list = json_array();

	for (yaml_node_item_t *item = node->data.sequence.items.start;
	     item < node->data.sequence.items.top; item++) {
		const yaml_node_t *one = node_of(walk, *item);
		json_t *value;

		if (field->type == FIELD_SOURCES)
			value = tell_source(walk, one);
		else if (field->type == FIELD_HOOK_LIST)
			value = tell_map(walk, bkp_config_hook_fields, one);
		else
			value = tell_scalar(walk, field, one);
		(void)json_array_append_new(list, value);
	}
	return list;
}

static const struct config_field *
fields_of(enum field_type type)
{
	switch (type) {
	case FIELD_RETENTION:
		return bkp_config_retention_fields;
	case FIELD_LIMITS:
		return bkp_config_verification_fields;
	case FIELD_STORAGE:
		return bkp_config_storage_fields;
	case FIELD_OBJECT_LOCK:
		return bkp_config_object_lock_fields;
	case FIELD_HOOKS:
		return bkp_config_hooks_fields;
	case FIELD_RATES:
		return bkp_config_rates_fields;
	default:
		return NULL;
	}
}

static bool
is_list_told(enum field_type type)
{
	return type == FIELD_TEXTS || type == FIELD_PATHS ||
	       type == FIELD_DATABASES || type == FIELD_HOOK_LIST ||
	       type == FIELD_SOURCES;
}

static json_t *
tell_value(struct walk *walk, const struct config_field *field,
    const yaml_node_t *node)
{
	const struct config_field *fields = fields_of(field->type);

	if (fields != NULL)
		return tell_map(walk, fields, node);
	if (field->type == FIELD_REPOSITORIES)
		return tell_named(
		    walk, bkp_config_repository_fields, "repository", node);
	if (field->type == FIELD_JOBS)
		return tell_named(walk, bkp_config_job_fields, "job", node);
	if (bkp_config_scalar(node) != NULL)
		return tell_scalar(walk, field, node);
	if (node->type == YAML_SEQUENCE_NODE && is_list_told(field->type))
		return tell_list(walk, field, node);
	learn_all(walk, field->name, node,
	    field->type != FIELD_REFERENCES && field->type != FIELD_ASSERTIONS);
	if (node->type == YAML_SEQUENCE_NODE)
		return json_integer(node->data.sequence.items.top -
				    node->data.sequence.items.start);
	return json_string("(something)");
}

static json_t *
tell_map(struct walk *walk, const struct config_field *fields,
    const yaml_node_t *node)
{
	json_t *object = json_object();
	int unknown = 0;

	if (node == NULL || node->type != YAML_MAPPING_NODE ||
	    ++walk->depth > DEPTH_MOST) {
		json_decref(object);
		learn_all(walk, "configuration", node, true);
		return json_string("(not understood)");
	}
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		const char *key = bkp_config_scalar(node_of(walk, pair->key));
		const yaml_node_t *value = node_of(walk, pair->value);
		const struct config_field *field =
		    key != NULL ? find_field(fields, key) : NULL;

		if (field == NULL || value == NULL) {
			unknown++;
			learn_all(walk, "an unknown key", value, true);
			continue;
		}
		(void)json_object_set_new(
		    object, field->name, tell_value(walk, field, value));
	}
	if (unknown > 0)
		(void)json_object_set_new(
		    object, "(unknown keys)", json_integer(unknown));
	walk->depth--;
	return object;
}

/* ---- what is not in the file ---- */

static void
learn_fields(struct walk *walk, const struct config_field *fields, void *base)
{
	for (; fields->name != NULL; fields++)
		if (fields->type == FIELD_SECRET)
			note(walk, bkp_redactor_secret(walk->bundle->redactor,
				       fields->name,
				       *(char **)bkp_config_slot(base, fields),
				       walk->err));
}

static void
learn_config(struct walk *walk, struct bkp_config *config)
{
	learn_fields(walk, bkp_config_fields, config);
	learn_fields(walk, bkp_config_storage_fields, config);
	if (config->key_file != NULL)
		learn_file(walk, "key_file", config->key_file);
	if (config->identity_file != NULL)
		learn_file(walk, "identity_file", config->identity_file);
	for (size_t i = 0; i < config->source_count; i++)
		for (const struct config_kind *kind = bkp_config_kinds;
		     kind->name != NULL; kind++)
			if (kind->kind == config->sources[i].kind)
				learn_fields(
				    walk, kind->fields, &config->sources[i]);
}

static void
learn_environment(struct walk *walk)
{
	const char *const *names = bkp_secret_variables;
	static const char *const files[] = {
	    "PGPASSWORD_FILE", "BACKUP_PASSPHRASE_FILE", NULL};

	for (size_t i = 0; names[i] != NULL; i++)
		note(walk, bkp_redactor_secret(walk->bundle->redactor, names[i],
			       getenv(names[i]), walk->err));
	for (size_t i = 0; files[i] != NULL; i++)
		if (getenv(files[i]) != NULL)
			learn_file(walk, files[i], getenv(files[i]));
}

int
bkp_bundle_learn(struct bkp_bundle *bundle, struct bkp_error *err)
{
	struct walk walk = {.bundle = bundle, .err = err};
	const yaml_node_t *root = NULL;

	if (bundle->has_file)
		root = yaml_document_get_root_node(&bundle->file.document);
	/* Secrets of all kinds first: names may hold them. */
	if (bundle->config != NULL)
		learn_config(&walk, bundle->config);
	learn_environment(&walk);
	if (root != NULL)
		bundle->shape = tell_map(&walk, bkp_config_fields, root);
	else
		bundle->shape = json_string("there is no file to read");
	if (bundle->config_name != NULL)
		note(&walk, bkp_redactor_rename(bundle->redactor,
				bundle->config_name, "the configuration", err));
	if (!walk.has_failed && bundle->shape != NULL)
		return 0;
	return bkp_fail_nomem(err, "reading the configuration for a bundle");
}
