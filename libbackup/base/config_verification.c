/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/config_verification.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/duration.h"
#include "libbackup/base/rate.h"

#define IN(member) offsetof(struct bkp_config, verification.member)

const struct config_field bkp_config_verification_fields[] = {
    {"level", FIELD_LEVEL, IN(level), false},
    {"budget", FIELD_SPAN, IN(budget_ms), false},
    {"max_age", FIELD_SPAN, IN(max_age_ms), false},
    {"max_recovery", FIELD_SPAN, IN(max_recovery_ms), false},
    {"server", FIELD_TEXT, IN(server), false},
    {"every", FIELD_SPAN, IN(every_ms), false},
    {"max_drop", FIELD_DROP, IN(max_drop), false},
    {"heapallindexed", FIELD_BOOL, IN(is_heapallindexed), false},
    {NULL, FIELD_TEXT, 0, false}};

static const char *const levels[] = {[BKP_LEVEL_UNSET] = NULL,
    [BKP_LEVEL_QUICK] = "quick",
    [BKP_LEVEL_SAMPLE] = "sample",
    [BKP_LEVEL_FULL] = "full"};

bool
bkp_level_read(const char *text, unsigned *level)
{
	for (unsigned i = BKP_LEVEL_QUICK; i <= BKP_LEVEL_FULL; i++)
		if (strcmp(text, levels[i]) == 0) {
			*level = i;
			return true;
		}
	return false;
}

const char *
bkp_level_name(unsigned level)
{
	return level <= BKP_LEVEL_FULL && levels[level] != NULL
		   ? levels[level]
		   : levels[BKP_LEVEL_FULL];
}

/* "20%", or 20. */
bool
bkp_drop_read(const char *text, unsigned *out)
{
	unsigned long value = 0;
	char *end = NULL;

	if (text[0] >= '0' && text[0] <= '9')
		value = strtoul(text, &end, 10);
	if (end == NULL || (strcmp(end, "") != 0 && strcmp(end, "%") != 0) ||
	    value < 1 || value > 100)
		return false;
	*out = (unsigned)value;
	return true;
}

static int
read_rate(const struct config_file *file, const yaml_node_t *node,
    const struct config_field *field, const char *text, uint64_t *out,
    struct bkp_error *err)
{
	struct bkp_error error = BKP_ERROR_INIT;

	if (bkp_rate_read(text, out, &error) == 0)
		return 0;
	return bkp_config_fail(
	    file, node, err, "'%s': %s", field->name, error.message);
}

static int
read_span(const struct config_file *file, const yaml_node_t *node,
    const struct config_field *field, const char *text, uint64_t *out,
    struct bkp_error *err)
{
	struct bkp_error error = BKP_ERROR_INIT;

	if (bkp_span_read(text, out, &error) == 0)
		return 0;
	return bkp_config_fail(
	    file, node, err, "'%s': %s", field->name, error.message);
}

int
bkp_config_read_limit(const struct config_file *file, const yaml_node_t *node,
    const struct config_field *field, void *base, struct bkp_error *err)
{
	void *slot = bkp_config_slot(base, field);
	char *text = NULL;
	int rc = 0;

	if (bkp_config_expand(file, node, field->name, &text, NULL, err) < 0)
		return -1;
	if (field->type == FIELD_SPAN)
		rc = read_span(file, node, field, text, slot, err);
	else if (field->type == FIELD_RATE)
		rc = read_rate(file, node, field, text, slot, err);
	else if (field->type == FIELD_DROP && !bkp_drop_read(text, slot))
		rc = bkp_config_fail(file, node, err,
		    "'%s' needs a percentage from 1%% to 100%%", field->name);
	else if (field->type == FIELD_LEVEL && !bkp_level_read(text, slot))
		rc = bkp_config_fail(file, node, err,
		    "'%s' needs quick, sample or full", field->name);
	free(text);
	return rc;
}
