/* SPDX-License-Identifier: Apache-2.0 */
/* Mail, by what every system has as sendmail: it reads the message and finds
 * in its headers whom it is for. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libbackup/base/child.h"
#include "libbackup/base/fail.h"
#include "libbackup/jobs/notify.h"

#define TEXT_MAX ((size_t)100 * 1000)
#define LIMIT_MS 60000
#define LINE_MAX_BYTES 900 /* RFC 5322 has 998 */
#define WORD_BYTES 45      /* 60 letters, in a word of at most 75 */

int
bkp_notify_mail_check(
    const struct bkp_notification_config *config, struct bkp_error *err)
{
	if (access(config->sendmail, X_OK) == 0)
		return 0;
	(void)bkp_fail_errno(err, errno, "%s", config->sendmail);
	return bkp_fail_in(err,
	    "there is no mailer to send mail with; install one (Debian: dma, "
	    "msmtp-mta, nullmailer) or name it with 'sendmail'");
}

/* ---- headers ---- */

/* Lines end as in files: mailers that are programs make of that what goes over
 * the wire, and some keep a CR as part of the line. */

/* Text that is not ASCII goes into encoded words (RFC 2047), none of which
 * ends within a character. */
static enum fmt_status
add_encoded(struct fmt_buf *out, const char *text)
{
	enum fmt_status status = FMT_OK;
	size_t left = strlen(text), len;

	for (; left > 0 && status == FMT_OK; text += len, left -= len) {
		unsigned char word[4 * WORD_BYTES];

		len = left < WORD_BYTES ? left : WORD_BYTES;
		while (len < left && len > 1 &&
		       ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
		(void)EVP_EncodeBlock(
		    word, (const unsigned char *)text, (int)len);
		status = fmt_buf_printf(out, "=?UTF-8?B?%s?=%s",
		    (const char *)word, len < left ? "\n " : "");
	}
	return status;
}

static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static enum fmt_status
add_subject(struct fmt_buf *out, const char *subject)
{
	enum fmt_status status = fmt_buf_append_text(out, "Subject: ");

	if (status != FMT_OK)
		return status;
	return is_ascii(subject) && strstr(subject, "=?") == NULL &&
		       strlen(subject) < LINE_MAX_BYTES
		   ? fmt_buf_append_text(out, subject)
		   : add_encoded(out, subject);
}

static enum fmt_status
add_recipients(struct fmt_buf *out, const struct bkp_strings *mail)
{
	enum fmt_status status = fmt_buf_append_text(out, "To: ");

	for (size_t i = 0; i < mail->count && status == FMT_OK; i++)
		status = fmt_buf_printf(
		    out, "%s%s", i > 0 ? ",\n " : "", mail->items[i]);
	return status;
}

static enum fmt_status
add_headers(const struct bkp_notification_config *config, const char *subject,
    struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;
	time_t now = time(NULL);
	struct tm tm;
	char date[64];

	if (gmtime_r(&now, &tm) == NULL ||
	    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm) ==
		0)
		return FMT_NOMEM;
	if (config->from != NULL)
		status = fmt_buf_printf(out, "From: %s\n", config->from);
	if (status == FMT_OK)
		status = add_recipients(out, &config->mail);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, "\n");
	if (status == FMT_OK)
		status = add_subject(out, subject);
	if (status == FMT_OK)
		status = fmt_buf_printf(out,
		    "\nDate: %s\n"
		    "MIME-Version: 1.0\n"
		    "Content-Type: text/plain; charset=utf-8\n"
		    "Content-Transfer-Encoding: 8bit\n"
		    "Auto-Submitted: auto-generated\n"
		    "\n",
		    date);
	return status;
}

/* ---- the text ---- */

/* How much of the line goes on one line of the mail: not into a character. */
static size_t
fitting(const char *line, size_t len)
{
	if (len <= LINE_MAX_BYTES)
		return len;
	len = LINE_MAX_BYTES;
	while (len > 1 && ((unsigned char)line[len] & 0xc0) == 0x80)
		len--;
	return len;
}

static enum fmt_status
add_body(struct fmt_buf *out, const char *text)
{
	enum fmt_status status = FMT_OK;

	while (*text != '\0' && status == FMT_OK) {
		size_t len = fitting(text, strcspn(text, "\n"));

		status = fmt_buf_append(out, text, len);
		if (status == FMT_OK)
			status = fmt_buf_append_text(out, "\n");
		text += len + (text[len] == '\n' ? 1 : 0);
	}
	return status;
}

static int
make_mail(const struct bkp_notification_config *config,
    const struct bkp_told *told, struct fmt_buf *out, struct bkp_error *err)
{
	struct fmt_buf subject = FMT_BUF_INIT, text = FMT_BUF_INIT;
	enum fmt_status status = FMT_NOMEM;
	int rc = -1;

	if (bkp_notice_subject(told, &subject, err) < 0 ||
	    bkp_notice_text(told, TEXT_MAX, &text, err) < 0)
		goto out;
	status = add_headers(config, (const char *)subject.data, out);
	if (status == FMT_OK)
		status = add_body(out, (const char *)text.data);
	rc = status == FMT_OK ? 0 : bkp_fail_nomem(err, "writing a mail");
out:
	fmt_buf_free(&subject);
	fmt_buf_free(&text);
	return rc;
}

static int
hand_over(const struct bkp_notification_config *config,
    const struct bkp_cancel *cancel, const struct fmt_buf *mail,
    struct bkp_error *err)
{
	/* -i: a line of one dot does not end the message. */
	const char *const argv[] = {config->sendmail, "-i", "-t", NULL};
	const struct bkp_child_options options = {.argv = argv,
	    .has_input = true,
	    .limit_ms = LIMIT_MS,
	    .cancel = cancel};
	struct bkp_child *child = NULL;
	int rc;

	if (bkp_child_start(&options, &child, err) < 0)
		return -1;
	rc = bkp_child_write(child, mail->data, mail->len, err);
	if (rc == 0)
		rc = bkp_child_finish(child, err);
	bkp_child_free(child);
	return rc;
}

int
bkp_notify_mail(const struct bkp_notification_config *config,
    const struct bkp_told *told, struct bkp_error *err)
{
	struct fmt_buf mail = FMT_BUF_INIT;
	int rc = bkp_notify_mail_check(config, err);

	if (rc == 0)
		rc = make_mail(config, told, &mail, err);
	if (rc == 0)
		rc = hand_over(config, told->cancel, &mail, err);
	fmt_buf_free(&mail);
	return rc;
}
