/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON Schema of what is the same in every export: manifest.json, and a
 * line of files.ndjson. Members may be added to them later. */
#include <jansson.h>

#include "libbackup/subject/exported.h"

/* Every string of the schemas is one member or less, as it reads best. */
/* clang-format off */
#define TEXT "{\"type\": \"string\"}"
#define MAYBE "{\"type\": [\"string\", \"null\"]}"
#define COUNT "{\"type\": \"integer\", \"minimum\": 0}"
#define FLAG "{\"type\": \"boolean\"}"
#define DIGEST "{\"type\": \"string\", \"pattern\": \"^[0-9a-f]{64}$\"}"
#define LIST(items) "{\"type\": \"array\", \"items\": " items "}"
#define DEFINED(name) "{\"$ref\": \"#/$defs/" name "\"}"
#define MAYBE_FILE "{\"anyOf\": [" DEFINED("file") ", {\"type\": \"null\"}]}"
#define DECISION "{\"enum\": [\"own\", \"shared\", \"actor\", \"lookup\"]}"

/* An object that has all of these members, and may have others. */
#define BEGIN(required)                                                        \
	"{\"type\": \"object\", \"required\": [" required "], \"properties\": {"
#define END "}}"

static const char file[] =
    BEGIN("\"name\", \"bytes\", \"sha256\"")
    "\"name\": " TEXT ", "
    "\"bytes\": " COUNT ", "
    "\"sha256\": " DIGEST
    END;

static const char column[] =
    BEGIN("\"name\", \"type\", \"replaced\"")
    "\"name\": " TEXT ", "
    "\"type\": " TEXT ", "
    "\"label\": " MAYBE ", "
    "\"replaced\": {\"enum\": [\"masked\", \"pseudonym\", null]}, "
    "\"names_others\": " FLAG
    END;

static const char left_out[] =
    BEGIN("\"name\", \"type\", \"why\", \"reason\"")
    "\"name\": " TEXT ", "
    "\"type\": " TEXT ", "
    "\"why\": {\"enum\": [\"omitted\", \"derived\", \"not given\"]}, "
    "\"reason\": " TEXT
    END;

static const char table[] =
    BEGIN("\"table\", \"decision\", \"rows\", \"file\", \"columns\"")
    "\"table\": " TEXT ", "
    "\"decision\": " DECISION ", "
    "\"rows\": " COUNT ", "
    "\"file\": " DEFINED("file") ", "
    "\"csv\": " MAYBE_FILE ", "
    "\"columns\": " LIST(DEFINED("column")) ", "
    "\"left_out\": " LIST(DEFINED("left_out")) ", "
    "\"label\": " MAYBE ", "
    "\"purpose\": " MAYBE ", "
    "\"retention\": " MAYBE ", "
    "\"origin\": {\"enum\": [\"provided\", \"observed\", \"derived\", null]}"
    END;

static const char empty[] =
    BEGIN("\"table\", \"decision\"")
    "\"table\": " TEXT ", "
    "\"decision\": " DECISION ", "
    "\"label\": " MAYBE
    END;

static const char reference[] =
    BEGIN("\"from\", \"columns\", \"to\", \"to_columns\", \"when\", \"array\"")
    "\"edge\": " TEXT ", "
    "\"from\": " TEXT ", "
    "\"columns\": " LIST(TEXT) ", "
    "\"to\": " TEXT ", "
    "\"to_columns\": " LIST(TEXT) ", "
    "\"when\": " MAYBE ", "
    "\"array\": " FLAG ", "
    "\"decision\": " TEXT
    END;

static const char subject[] =
    BEGIN("\"table\", \"key\"")
    "\"table\": " TEXT ", "
    "\"key\": {\"type\": \"object\", \"additionalProperties\": " TEXT "}, "
    "\"label\": " MAYBE
    END;

static const char objects[] =
    BEGIN("\"list\", \"count\", \"bytes\"")
    "\"list\": " MAYBE_FILE ", "
    "\"count\": " COUNT ", "
    "\"bytes\": " COUNT
    END;

static const char excluded[] =
    BEGIN("\"kind\", \"what\", \"reason\"")
    "\"kind\": {\"enum\": [\"edge\", \"table\", \"column\", \"files\"]}, "
    "\"what\": " TEXT ", "
    "\"reason\": " TEXT
    END;

static const char omitted[] =
    BEGIN("\"what\", \"reason\"")
    "\"what\": " TEXT ", "
    "\"reason\": " TEXT
    END;

static const char manifest[] =
    BEGIN("\"format\", \"version\", \"status\", \"profile\", \"time\", "
	"\"lsn\", \"map_sha256\", \"subject\", \"tables\", \"empty\", "
	"\"references\", \"objects\", \"schema\", \"index\", \"core\", \"pages\", "
	"\"excluded\", \"omitted\"")
    "\"format\": {\"const\": \"libbackup-export\"}, "
    "\"version\": {\"const\": 1}, "
    "\"status\": {\"enum\": [\"complete\", \"partial\"]}, "
    "\"profile\": {\"enum\": [\"access\", \"portability\"]}, "
    "\"time\": " TEXT ", "
    "\"lsn\": " TEXT ", "
    "\"snapshot\": " MAYBE ", "
    "\"map_sha256\": " DIGEST ", "
    "\"subject\": " DEFINED("subject") ", "
    "\"tables\": " LIST(DEFINED("table")) ", "
    "\"empty\": " LIST(DEFINED("empty")) ", "
    "\"references\": " LIST(DEFINED("reference")) ", "
    "\"objects\": " DEFINED("objects") ", "
    "\"schema\": " DEFINED("file") ", "
    "\"index\": " DEFINED("file") ", "
    "\"core\": " DEFINED("file") ", "
    "\"pages\": " LIST(DEFINED("file")) ", "
    "\"excluded\": " LIST(DEFINED("excluded")) ", "
    "\"omitted\": " LIST(DEFINED("omitted"))
    "}, \"$id\": \"manifest.json\"}";

static const char object[] =
    BEGIN("\"file\", \"bucket\", \"key\", \"table\", \"decision\", "
	"\"bytes\", \"sha256\"")
    "\"file\": " TEXT ", "
    "\"bucket\": " TEXT ", "
    "\"key\": " TEXT ", "
    "\"table\": " TEXT ", "
    "\"decision\": " DECISION ", "
    "\"name\": " MAYBE ", "
    "\"content_type\": " MAYBE ", "
    "\"last_modified\": " MAYBE ", "
    "\"bytes\": " COUNT ", "
    "\"sha256\": " DIGEST
    END;
/* clang-format on */

static json_t *
parse(const char *text)
{
	return json_loads(text, JSON_REJECT_DUPLICATES, NULL);
}

/* It refers to itself alone, and so can be used alone. */
static json_t *
describe_manifest(void)
{
	json_t *schema = parse(manifest);

	if (json_object_set_new(schema, "$defs",
		json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		    "file", parse(file), "column", parse(column), "left_out",
		    parse(left_out), "table", parse(table), "empty",
		    parse(empty), "reference", parse(reference), "subject",
		    parse(subject), "objects", parse(objects), "excluded",
		    parse(excluded), "omitted", parse(omitted))) == 0)
		return schema;
	json_decref(schema);
	return NULL;
}

int
bkp_export_describe(json_t *files)
{
	if (json_object_set_new(files, "files.ndjson", parse(object)) < 0)
		return -1;
	return json_object_set_new(files, "manifest.json", describe_manifest());
}
