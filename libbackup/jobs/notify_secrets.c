/* SPDX-License-Identifier: Apache-2.0 */
/* What is told is made of messages without secrets, but a hook may write what
 * it likes: what the configuration and the environment know to be secret is
 * taken out. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_fields.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/jobs/notify.h"

#define LEAST 6 /* bytes: what is shorter is a word of every day */
#define MARK "[secret]"

/* Borrowed from the configuration or the environment. */
static int
add(struct bkp_secrets *secrets, const char *text, size_t len,
    struct bkp_error *err)
{
	if (text == NULL || len < LEAST)
		return 0;
	if (bkp_grow(&secrets->items, secrets->count, &secrets->cap,
		sizeof(*secrets->items), err) < 0)
		return -1;
	secrets->items[secrets->count].text = text;
	secrets->items[secrets->count++].len = len;
	return 0;
}

static int
add_text(struct bkp_secrets *secrets, const char *text, struct bkp_error *err)
{
	return text != NULL ? add(secrets, text, strlen(text), err) : 0;
}

static int
add_fields(struct bkp_secrets *secrets, const struct config_field *fields,
    const void *base, struct bkp_error *err)
{
	for (; fields->name != NULL; fields++) {
		const void *slot = (const char *)base + fields->offset;
		char *const *text = slot;

		if (fields->type == FIELD_SECRET &&
		    add_text(secrets, *text, err) < 0)
			return -1;
	}
	return 0;
}

static int
add_places(struct bkp_secrets *secrets, const struct bkp_config *config,
    struct bkp_error *err)
{
	if (add_fields(secrets, bkp_config_fields, config, err) < 0)
		return -1;
	return add_fields(secrets, bkp_config_storage_fields, config, err);
}

static int
add_source(struct bkp_secrets *secrets, const struct bkp_source_config *source,
    struct bkp_error *err)
{
	const struct config_kind *kind = bkp_config_kinds;

	while (kind->kind != source->kind)
		kind++;
	return add_fields(secrets, kind->fields, source, err);
}

/* Of "Authorization: Bearer abc" what is behind the last space. */
static int
add_headers(
    struct bkp_secrets *secrets, const char *lines, struct bkp_error *err)
{
	while (lines != NULL && *lines != '\0') {
		size_t len = strcspn(lines, "\n"), from = len;

		while (from > 0 && lines[from - 1] != ' ' &&
		       lines[from - 1] != ':')
			from--;
		if (add(secrets, lines + from, len - from, err) < 0)
			return -1;
		lines += len + (lines[len] == '\n' ? 1 : 0);
	}
	return 0;
}

static int
add_notification(struct bkp_secrets *secrets,
    const struct bkp_notification_config *it, struct bkp_error *err)
{
	if (add_text(secrets, it->ping, err) < 0 ||
	    add_text(secrets, it->webhook, err) < 0 ||
	    add_text(secrets, it->signing_key, err) < 0)
		return -1;
	return add_headers(secrets, it->headers, err);
}

static int
add_environment(struct bkp_secrets *secrets, struct bkp_error *err)
{
	for (size_t i = 0; bkp_secret_variables[i] != NULL; i++)
		if (add_text(secrets, getenv(bkp_secret_variables[i]), err) < 0)
			return -1;
	return 0;
}

int
bkp_secrets_collect(const struct bkp_config *config,
    struct bkp_secrets *secrets, struct bkp_error *err)
{
	size_t i;

	if (add_environment(secrets, err) < 0 ||
	    add_places(secrets, config, err) < 0)
		return -1;
	for (i = 0; i < config->repository_count; i++)
		if (add_places(secrets, config->repositories[i].values, err) <
		    0)
			return -1;
	for (i = 0; i < config->source_count; i++)
		if (add_source(secrets, &config->sources[i], err) < 0)
			return -1;
	for (i = 0; i < config->notifications.count; i++)
		if (add_notification(
			secrets, &config->notifications.items[i], err) < 0)
			return -1;
	return 0;
}

/* The longest secret that stands at `at`; 0: none. */
static size_t
secret_at(
    const struct bkp_secrets *secrets, const unsigned char *at, size_t left)
{
	size_t longest = 0;

	for (size_t i = 0; i < secrets->count; i++)
		if (secrets->items[i].len <= left &&
		    secrets->items[i].len > longest &&
		    memcmp(at, secrets->items[i].text, secrets->items[i].len) ==
			0)
			longest = secrets->items[i].len;
	return longest;
}

int
bkp_secrets_remove(const struct bkp_secrets *secrets, struct fmt_buf *text,
    struct bkp_error *err)
{
	struct fmt_buf out = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	size_t at = 0;

	while (at < text->len && status == FMT_OK) {
		size_t len =
		    secret_at(secrets, text->data + at, text->len - at);

		status = len > 0 ? fmt_buf_append_text(&out, MARK)
				 : fmt_buf_append_byte(&out, text->data[at]);
		at += len > 0 ? len : 1;
	}
	if (status != FMT_OK || fmt_buf_text(&out) == NULL) {
		fmt_buf_free(&out);
		return bkp_fail_nomem(err, "telling of a run");
	}
	if (text->data != NULL)
		OPENSSL_cleanse(text->data, text->len);
	fmt_buf_free(text);
	*text = out;
	return 0;
}
