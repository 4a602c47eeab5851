/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked at, in which order, and what it comes to. */
#include "libbackup/doctor.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/arena.h"
#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/doctor/bundle.h"
#include "libbackup/doctor/exam.h"
#include "libbackup/operations/opened.h"

#define LIMIT "30s"

struct ward {
	struct bkp_doctor_options options;
	uint64_t limit_ms;
	struct bkp_arena arena;
	struct bkp_symptom *items;  /* owned */
	struct bkp_symptom *marked; /* owned: the same, names marked */
	size_t count, cap, marked_cap;
	uint64_t of[BKP_HEALTH_ERROR + 1];
};

const char *
bkp_health_name(enum bkp_health health)
{
	static const char *const names[] = {
	    "ok", "note", "skipped", "warning", "error"};

	return (unsigned)health <= BKP_HEALTH_ERROR ? names[health] : "error";
}

static char *
keep(struct ward *ward, const char *text, struct bkp_error *err)
{
	return bkp_arena_text(&ward->arena, text != NULL ? text : "",
	    text ? strlen(text) : 0, err);
}

/* As it came. */
static int
keep_marked(
    struct ward *ward, const struct bkp_symptom *symptom, struct bkp_error *err)
{
	struct bkp_symptom copy = *symptom;

	copy.id = keep(ward, symptom->id, err);
	copy.subject = keep(ward, symptom->subject, err);
	copy.seen = keep(ward, symptom->seen, err);
	copy.advice = keep(ward, symptom->advice, err);
	if (copy.id == NULL || copy.subject == NULL || copy.seen == NULL ||
	    copy.advice == NULL ||
	    bkp_grow(&ward->marked, ward->count, &ward->marked_cap,
		sizeof(*ward->marked), err) < 0)
		return -1;
	ward->marked[ward->count] = copy;
	return 0;
}

/* For people, names need no marks. */
static char *
keep_unmarked(struct ward *ward, const char *text, struct bkp_error *err)
{
	char *copy = keep(ward, text, err), *to = copy;

	if (copy == NULL)
		return NULL;
	for (const char *at = copy; *at != '\0'; at++)
		if (*at != BKP_NAME_BEGIN && *at != BKP_NAME_END &&
		    *at != BKP_SAID_BEGIN && *at != BKP_SAID_END)
			*to++ = *at;
	*to = '\0';
	return copy;
}

static int
take(void *arg, const struct bkp_symptom *symptom, struct bkp_error *err)
{
	struct ward *ward = arg;
	struct bkp_symptom copy = {.health = symptom->health};

	if ((unsigned)copy.health > BKP_HEALTH_ERROR)
		copy.health = BKP_HEALTH_ERROR;
	if (keep_marked(ward, symptom, err) < 0)
		return -1;
	copy.id = keep(ward, symptom->id, err);
	copy.subject = keep_unmarked(ward, symptom->subject, err);
	copy.seen = keep_unmarked(ward, symptom->seen, err);
	copy.advice = keep_unmarked(ward, symptom->advice, err);
	if (copy.id == NULL || copy.subject == NULL || copy.seen == NULL ||
	    copy.advice == NULL ||
	    bkp_grow(&ward->items, ward->count, &ward->cap,
		sizeof(*ward->items), err) < 0)
		return -1;
	ward->items[ward->count++] = copy;
	ward->of[copy.health]++;
	if (ward->options.tell != NULL)
		ward->options.tell(ward->options.arg, &copy);
	return 0;
}

static int
look(struct ward *ward, const struct bkp_exam_kind *kind, const char *subject,
    const struct bkp_source_config *source, struct bkp_error *err)
{
	struct bkp_exam exam = {.kind = kind,
	    .limit_ms = ward->limit_ms,
	    .subject = subject,
	    .options = &ward->options,
	    .config = ward->options.config,
	    .source = source,
	    .pipe = -1};

	return bkp_exam_run(&exam, take, ward, err);
}

/* What was set on a command line is of the one that is used, and stays. */
static int
look_at_repository(struct ward *ward, const char *name, bool is_used,
    bool is_only, struct bkp_error *err)
{
	char *subject = is_only ? bkp_strdup("repository", err)
				: bkp_format(err, "repository/%s", name);
	struct bkp_exam exam = {.kind = &bkp_exam_repository,
	    .limit_ms = ward->limit_ms,
	    .subject = subject,
	    .repository = is_used ? NULL : name,
	    .options = &ward->options,
	    .config = ward->options.config,
	    .pipe = -1};
	int rc = subject != NULL ? bkp_exam_run(&exam, take, ward, err) : -1;

	free(subject);
	return rc;
}

static int
look_at_repositories(struct ward *ward, struct bkp_error *err)
{
	const struct bkp_config *config = ward->options.config;
	const char *used = bkp_config_repository_used(config), *name;
	bool is_only = bkp_config_repository_name(config, 1) == NULL;

	for (size_t n = 0;
	     (name = bkp_config_repository_name(config, n)) != NULL; n++)
		if (look_at_repository(ward, name,
			is_only || strcmp(name, used) == 0, is_only, err) < 0)
			return -1;
	return 0;
}

static int
look_at_source(struct ward *ward, const struct bkp_source_config *source,
    struct bkp_error *err)
{
	if (source->kind == BKP_KIND_POSTGRES)
		return look(
		    ward, &bkp_exam_database, source->prefix, source, err);
	if (source->kind == BKP_KIND_BUCKET)
		return look(
		    ward, &bkp_exam_bucket, source->prefix, source, err);
	return 0;
}

static int
look_at_all(struct ward *ward, struct bkp_error *err)
{
	const struct bkp_config *config = ward->options.config;

	if (look(ward, &bkp_exam_host, "this machine", NULL, err) < 0 ||
	    look(ward, &bkp_exam_configured, "configuration", NULL, err) < 0)
		return -1;
	if (config == NULL)
		return 0;
	if (config->repository != NULL && look_at_repositories(ward, err) < 0)
		return -1;
	for (size_t i = 0; i < config->source_count; i++)
		if (look_at_source(ward, &config->sources[i], err) < 0)
			return -1;
	return 0;
}

/* Those of a program that was built against an older header are fewer. */
static struct bkp_doctor_options
adopt(const struct bkp_doctor_options *options)
{
	struct bkp_doctor_options own = BKP_DOCTOR_OPTIONS_INIT;

	memcpy(&own, options,
	    options->size < sizeof(own) ? options->size : sizeof(own));
	return own;
}

static int
read_limit(struct ward *ward, struct bkp_error *err)
{
	const char *text = ward->options.limit;

	return bkp_span_read(text != NULL ? text : LIMIT, &ward->limit_ms, err);
}

struct memory {
	struct bkp_arena arena;
	struct bkp_symptom *items, *marked; /* owned */
};

static void
free_memory(struct memory *memory)
{
	if (memory == NULL)
		return;
	free(memory->items);
	free(memory->marked);
	bkp_arena_free(&memory->arena);
	free(memory);
}

int
bkp_doctor(const struct bkp_doctor_options *options,
    struct bkp_doctor_result *result, struct bkp_error *err)
{
	struct ward ward = {.options = adopt(options), .arena = BKP_ARENA_INIT};
	struct memory *memory = bkp_alloc(sizeof(*memory), err);
	uint64_t begun = bkp_clock_ms();
	int rc = -1;

	if (memory == NULL)
		return -1;
	if (read_limit(&ward, err) == 0)
		rc = look_at_all(&ward, err);
	*memory = (struct memory){ward.arena, ward.items, ward.marked};
	if (rc < 0) {
		free_memory(memory);
		return -1;
	}
	*result = (struct bkp_doctor_result){.symptoms = ward.items,
	    .symptom_count = ward.count,
	    .ok = ward.of[BKP_HEALTH_OK],
	    .notes = ward.of[BKP_HEALTH_NOTE],
	    .skipped = ward.of[BKP_HEALTH_SKIPPED],
	    .warnings = ward.of[BKP_HEALTH_WARNING],
	    .errors = ward.of[BKP_HEALTH_ERROR],
	    .duration_ms = bkp_clock_ms() - begun,
	    .memory = memory};
	return 0;
}

void
bkp_doctor_result_free(struct bkp_doctor_result *result)
{
	free_memory(result->memory);
	*result = (struct bkp_doctor_result){.symptoms = NULL};
}

const struct bkp_symptom *
bkp_doctor_marked(const struct bkp_doctor_result *result)
{
	const struct memory *memory = result->memory;

	return memory != NULL ? memory->marked : result->symptoms;
}
