/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/s3/xml.h"

#include <expat.h>
#include <limits.h>
#include <string.h>

#include "formats/buf.h"
#include "libbackup/base/fail.h"

#define DEPTH_MAX 16

struct reader {
	XML_Parser parser;
	bkp_s3_xml_fn *fn;
	void *arg;
	struct bkp_error *err;
	int rc;
	struct fmt_buf path;
	struct fmt_buf text;    /* of the innermost element so far */
	size_t ends[DEPTH_MAX]; /* length of the path before each element */
	size_t depth;
};

static void
stop(struct reader *reader)
{
	reader->rc = -1;
	XML_StopParser(reader->parser, XML_FALSE);
}

static void XMLCALL
on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *reader = arg;
	const char *colon = strrchr(name, ':');

	(void)attributes;
	if (reader->depth == DEPTH_MAX) {
		(void)bkp_fail(reader->err, BKP_CORRUPT,
		    "the answer is nested too deeply");
		stop(reader);
		return;
	}
	reader->ends[reader->depth++] = reader->path.len;
	fmt_buf_clear(&reader->text);
	if ((reader->path.len > 0 &&
		fmt_buf_append_byte(&reader->path, '/') != FMT_OK) ||
	    fmt_buf_append_text(
		&reader->path, colon != NULL ? colon + 1 : name) != FMT_OK) {
		(void)bkp_fail_nomem(reader->err, "reading an answer");
		stop(reader);
	}
}

static void XMLCALL
on_text(void *arg, const XML_Char *text, int len)
{
	struct reader *reader = arg;

	if (fmt_buf_append(&reader->text, text, (size_t)len) != FMT_OK) {
		(void)bkp_fail_nomem(reader->err, "reading an answer");
		stop(reader);
	}
}

static void XMLCALL
on_end(void *arg, const XML_Char *name)
{
	struct reader *reader = arg;
	const char *path = fmt_buf_text(&reader->path);
	const char *text = fmt_buf_text(&reader->text);

	(void)name;
	if (path == NULL || text == NULL) {
		(void)bkp_fail_nomem(reader->err, "reading an answer");
		stop(reader);
		return;
	}
	if (reader->fn(reader->arg, path, text, reader->text.len, reader->err) <
	    0) {
		stop(reader);
		return;
	}
	reader->path.len = reader->ends[--reader->depth];
	fmt_buf_clear(&reader->text);
}

/* No answer of S3 has one; entities would be a way to make us work. */
static void XMLCALL
on_doctype(void *arg, const XML_Char *name, const XML_Char *system,
    const XML_Char *public, int has_subset)
{
	struct reader *reader = arg;

	(void)name;
	(void)system;
	(void)public;
	(void)has_subset;
	(void)bkp_fail(reader->err, BKP_CORRUPT,
	    "the answer holds a document type declaration");
	stop(reader);
}

static int
parse(struct reader *reader, const void *data, size_t len)
{
	enum XML_Error code;

	XML_SetUserData(reader->parser, reader);
	XML_SetElementHandler(reader->parser, on_start, on_end);
	XML_SetCharacterDataHandler(reader->parser, on_text);
	XML_SetStartDoctypeDeclHandler(reader->parser, on_doctype);
	if (XML_Parse(reader->parser, data, (int)len, 1) == XML_STATUS_OK)
		return 0;
	if (reader->rc < 0)
		return -1;
	code = XML_GetErrorCode(reader->parser);
	if (code == XML_ERROR_NO_MEMORY)
		return bkp_fail_nomem(reader->err, "reading an answer");
	return bkp_fail(reader->err, BKP_CORRUPT,
	    "the answer is not the XML it should be (line %lu: %s)",
	    (unsigned long)XML_GetCurrentLineNumber(reader->parser),
	    XML_ErrorString(code));
}

int
bkp_s3_xml_read(const void *data, size_t len, bkp_s3_xml_fn *fn, void *arg,
    struct bkp_error *err)
{
	struct reader reader = {.fn = fn,
	    .arg = arg,
	    .err = err,
	    .path = FMT_BUF_INIT,
	    .text = FMT_BUF_INIT};
	int rc;

	if (len > INT_MAX)
		return bkp_fail(err, BKP_CORRUPT, "the answer is too long");
	if ((reader.parser = XML_ParserCreate(NULL)) == NULL)
		return bkp_fail_nomem(err, "reading an answer");
	rc = parse(&reader, data, len);
	XML_ParserFree(reader.parser);
	fmt_buf_free(&reader.path);
	fmt_buf_free(&reader.text);
	return rc;
}
