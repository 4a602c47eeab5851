/* SPDX-License-Identifier: Apache-2.0 */
/* `notifications`: who is told of a run. */
#include "libbackup/base/config_notifications.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "libbackup/base/config_reader.h"
#include "libbackup/base/config_references.h"
#include "libbackup/base/fail.h"

#define IN(member) offsetof(struct bkp_notification_config, member)

#define TIMEOUT_MS ((uint64_t)10 * 1000)
#define TIMEOUT_MOST_MS ((uint64_t)5 * 60 * 1000)
#define SENDMAIL "/usr/sbin/sendmail"

const struct config_field bkp_config_notification_fields[] = {
    {"ping", FIELD_SECRET, IN(ping), false},
    {"ping_file", FIELD_SECRET_FILE, IN(ping), false},
    {"exit_status", FIELD_BOOL, IN(has_exit_status), false},
    {"webhook", FIELD_SECRET, IN(webhook), false},
    {"webhook_file", FIELD_SECRET_FILE, IN(webhook), false},
    {"headers_file", FIELD_SECRET_FILE, IN(headers), false},
    {"signing_key", FIELD_SECRET, IN(signing_key), false},
    {"signing_key_file", FIELD_SECRET_FILE, IN(signing_key), false},
    {"ca_file", FIELD_PATH, IN(ca_file), false},
    {"timeout", FIELD_SPAN, IN(timeout_ms), false},
    {"mail", FIELD_TEXTS, IN(mail), false},
    {"from", FIELD_TEXT, IN(from), false},
    {"sendmail", FIELD_PATH, IN(sendmail), false},
    {"on", FIELD_TEXTS, IN(on), false}, {NULL, FIELD_TEXT, 0, false}};

static int
fail(const struct config_file *file, const struct bkp_notification_config *it,
    const char *reason, struct bkp_error *err)
{
	return bkp_fail(
	    err, BKP_INVALID, "%s:%u: %s", file->path, it->line, reason);
}

/* ---- when ---- */

static const struct {
	const char *name;
	unsigned bit;
} moments[] = {{"start", BKP_ON_START}, {"success", BKP_ON_SUCCESS},
    {"failure", BKP_ON_FAILURE}, {"degraded", BKP_ON_DEGRADED},
    {"recovery", BKP_ON_RECOVERY}};

static unsigned
moment_of(const char *name)
{
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++)
		if (strcmp(moments[i].name, name) == 0)
			return moments[i].bit;
	return 0;
}

/* A ping is for somebody who notices when none comes; mail is for people, who
 * do not read what comes each night. */
static unsigned
usual_moments(const struct bkp_notification_config *it)
{
	unsigned trouble = BKP_ON_FAILURE | BKP_ON_DEGRADED | BKP_ON_RECOVERY;

	if (it->ping != NULL)
		return trouble | BKP_ON_START | BKP_ON_SUCCESS;
	return it->webhook != NULL ? trouble | BKP_ON_SUCCESS : trouble;
}

static int
read_moments(const struct config_file *file, struct bkp_notification_config *it,
    struct bkp_error *err)
{
	if (it->on.items == NULL)
		it->moments = usual_moments(it);
	else if (it->on.count == 0)
		return fail(file, it,
		    "'on' is empty: this notification would never be sent",
		    err);
	for (size_t i = 0; i < it->on.count; i++) {
		unsigned bit = moment_of(it->on.items[i]);

		if (bit == 0)
			return bkp_fail(err, BKP_INVALID,
			    "%s:%u: 'on' is a list of start, success, failure, "
			    "degraded and recovery, not '%s'",
			    file->path, it->line, it->on.items[i]);
		it->moments |= bit;
	}
	return 0;
}

/* ---- whom: none of these messages quotes an address, which is a secret ----
 */

static bool
has_only(const char *text, const char *more)
{
	for (; *text != '\0'; text++)
		if ((*text <= ' ' || *text > '~') &&
		    strchr(more, *text) == NULL)
			return false;
	return true;
}

static int
check_url(const struct config_file *file,
    const struct bkp_notification_config *it, const char *url,
    struct bkp_error *err)
{
	size_t len = 0;

	if (strncasecmp(url, "https://", 8) == 0)
		len = strcspn(url + 8, "/?#");
	else if (strncasecmp(url, "http://", 7) == 0)
		len = strcspn(url + 7, "/?#");
	if (len > 0 && has_only(url, ""))
		return 0;
	return fail(file, it,
	    "'ping' and 'webhook' need an address that begins with https:// or "
	    "http:// and has no spaces",
	    err);
}

/* Lines "Name: value"; whoever writes a line break into one would write a
 * header of their own. */
static int
check_headers(const struct config_file *file,
    const struct bkp_notification_config *it, struct bkp_error *err)
{
	const char *line = it->headers;

	while (line != NULL && *line != '\0') {
		size_t len = strcspn(line, "\n"), name = strcspn(line, ":\n");

		if (len > 0 && (name == 0 || name == len))
			return fail(file, it,
			    "'headers_file' names a file of lines as "
			    "'Authorization: Bearer ...', and one of its lines "
			    "is no such line",
			    err);
		for (size_t i = 0; i < len; i++) {
			unsigned char c = (unsigned char)line[i];

			if ((i < name && (c <= ' ' || c > '~')) ||
			    (c < ' ' && c != '\t') || c == 0x7f)
				return fail(file, it,
				    "the file that 'headers_file' names has "
				    "characters that no header may hold; save "
				    "it with plain line ends",
				    err);
		}
		line += len + (line[len] == '\n' ? 1 : 0);
	}
	return 0;
}

/* What stands in a header of a mail: one address and nothing behind it. */
static int
check_address(const struct config_file *file,
    const struct bkp_notification_config *it, const char *key,
    const char *address, struct bkp_error *err)
{
	if (address[0] != '\0' && address[0] != '-' && has_only(address, "") &&
	    strpbrk(address, ",;:<>()[]\\\"") == NULL)
		return 0;
	return bkp_fail(err, BKP_INVALID,
	    "%s:%u: '%s' needs plain addresses as ops@example.org or root, "
	    "without names, commas or spaces",
	    file->path, it->line, key);
}

static int
check_mail(const struct config_file *file, struct bkp_notification_config *it,
    struct bkp_error *err)
{
	if (it->mail.count == 0)
		return fail(file, it, "'mail' has no address", err);
	for (size_t i = 0; i < it->mail.count; i++)
		if (check_address(file, it, "mail", it->mail.items[i], err) < 0)
			return -1;
	if (it->from != NULL &&
	    check_address(file, it, "from", it->from, err) < 0)
		return -1;
	if (it->sendmail == NULL)
		it->sendmail = bkp_strdup(SENDMAIL, err);
	return it->sendmail != NULL ? 0 : -1;
}

/* ---- what is not there ---- */

static bool
is_variable(const yaml_node_t *node)
{
	const char *text = bkp_config_scalar(node);

	return text != NULL && strstr(text, "${") != NULL;
}

static bool
is_from_elsewhere(struct config_reader *r, const yaml_node_t *node,
    const struct config_field *field)
{
	const yaml_node_item_t *item;

	if (node->type == YAML_SCALAR_NODE)
		return field->type == FIELD_SECRET_FILE || is_variable(node);
	if (node->type != YAML_SEQUENCE_NODE)
		return false;
	for (item = node->data.sequence.items.start;
	     item < node->data.sequence.items.top; item++)
		if (is_variable(config_node(r, *item)))
			return true;
	return false;
}

bool
bkp_config_notification_lacks(struct config_reader *r, const yaml_node_t *node,
    const struct config_field *field, const struct bkp_error *problem)
{
	struct bkp_notification_config *it = r->base;
	char **slot = bkp_config_slot(it, field);

	if (problem->code == BKP_NOMEM || !is_from_elsewhere(r, node, field))
		return false;
	if (it->lack[0] == '\0')
		(void)snprintf(it->lack, sizeof(it->lack), "%.*s",
		    (int)sizeof(it->lack) - 1, problem->message);
	/* Given, so that it is known which kind of notification it is. */
	if (field->type != FIELD_SECRET && field->type != FIELD_SECRET_FILE)
		return true;
	if (*slot == NULL)
		*slot = bkp_strdup("", NULL);
	return *slot != NULL;
}

/* ---- which keys go together ---- */

static int
check_keys(const struct config_file *file,
    const struct bkp_notification_config *it, struct bkp_error *err)
{
	bool has_mail = it->mail.items != NULL;
	int ways = (it->ping != NULL) + (it->webhook != NULL) + has_mail;

	if (ways != 1)
		return fail(file, it,
		    "a notification is one of 'ping', 'webhook' and 'mail'",
		    err);
	if (it->webhook == NULL &&
	    (it->headers != NULL || it->signing_key != NULL))
		return fail(file, it,
		    "'headers_file' and 'signing_key' go with 'webhook' alone",
		    err);
	if (it->ping == NULL && it->has_exit_status)
		return fail(file, it,
		    "'exit_status' goes with 'ping' alone; the others always "
		    "tell it",
		    err);
	if (!has_mail && (it->sendmail != NULL || it->from != NULL))
		return fail(file, it,
		    "'sendmail' and 'from' go with 'mail' alone", err);
	if (has_mail && (it->ca_file != NULL || it->timeout_ms != 0))
		return fail(file, it,
		    "'ca_file' and 'timeout' go with 'ping' and 'webhook'",
		    err);
	return 0;
}

static int
complete_notification(const struct config_file *file, void *item, unsigned line,
    struct bkp_error *err)
{
	struct bkp_notification_config *it = item;
	const char *url;

	it->line = line;
	if (check_keys(file, it, err) < 0 || read_moments(file, it, err) < 0)
		return -1;
	if (it->lack[0] != '\0')
		return 0;
	if (it->timeout_ms == 0)
		it->timeout_ms = TIMEOUT_MS;
	if (it->timeout_ms > TIMEOUT_MOST_MS)
		return fail(
		    file, it, "'timeout' is at most 5m: a run waits", err);
	if (it->ping == NULL && it->webhook == NULL)
		return check_mail(file, it, err);
	url = it->ping != NULL ? it->ping : it->webhook;
	if (check_url(file, it, url, err) < 0)
		return -1;
	return check_headers(file, it, err);
}

int
bkp_config_read_notifications(struct config_file *file,
    struct bkp_config *config, const yaml_node_t *node,
    struct bkp_notifications *out, struct bkp_error *err)
{
	static const struct config_list list = {.name = "notifications",
	    .what = "a notification",
	    .fields = bkp_config_notification_fields,
	    .size = sizeof(struct bkp_notification_config),
	    .complete = complete_notification};

	return bkp_config_read_items(
	    file, config, &list, node, &out->items, &out->count, err);
}

int
bkp_config_notifications_copy(const struct bkp_notifications *from,
    struct bkp_notifications *to, struct bkp_error *err)
{
	if (from->count == 0)
		return 0;
	to->items = bkp_alloc_array(from->count, sizeof(*to->items), err);
	if (to->items == NULL)
		return -1;
	while (to->count < from->count) {
		const struct bkp_notification_config *it =
		    &from->items[to->count];
		struct bkp_notification_config *copy = &to->items[to->count++];

		copy->moments = it->moments;
		copy->line = it->line;
		memcpy(copy->lack, it->lack, sizeof(copy->lack));
		if (bkp_config_fields_copy(bkp_config_notification_fields,
			UINT32_MAX, it, copy, err) < 0)
			return -1;
	}
	return 0;
}

void
bkp_config_notifications_free(struct bkp_notifications *notifications)
{
	for (size_t i = 0; i < notifications->count; i++)
		bkp_config_fields_free(
		    bkp_config_notification_fields, &notifications->items[i]);
	free(notifications->items);
	notifications->items = NULL;
	notifications->count = 0;
}
