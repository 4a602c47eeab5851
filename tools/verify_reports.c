/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/verify_reports.h"

#include <errno.h>
#include <string.h>
#include <time.h>

struct file {
	const char *name; /* NULL: not asked for */
	enum bkp_report_format format;
};

enum { FILES = 4 };

static void
list(const struct verify_reports *reports, struct file files[FILES])
{
	files[0] = (struct file){reports->junit, BKP_REPORT_JUNIT};
	files[1] = (struct file){reports->json, BKP_REPORT_JSON};
	files[2] = (struct file){reports->html, BKP_REPORT_HTML};
	files[3] = (struct file){reports->prometheus, BKP_REPORT_PROMETHEUS};
}

static bool
is_printed(const struct file *file)
{
	return file->name != NULL && strcmp(file->name, "-") == 0;
}

bool
verify_reports_any(const struct verify_reports *reports)
{
	return reports->junit != NULL || reports->json != NULL ||
	       reports->html != NULL || reports->prometheus != NULL;
}

bool
verify_reports_print(const struct verify_reports *reports)
{
	struct file files[FILES];
	int i;

	list(reports, files);
	for (i = 0; i < FILES; i++) {
		if (is_printed(&files[i]))
			return true;
	}
	return false;
}

/* Lines of events would have a report among them. */
static enum cli_status
refuse_printed(struct cli *cli, struct verify_reports *reports)
{
	reports->junit = reports->json = NULL;
	reports->html = reports->prometheus = NULL;
	return cli_usage(cli,
	    "--json writes to standard output, and so would a report to '-'");
}

enum cli_status
verify_reports_check(struct cli *cli, struct verify_reports *reports)
{
	struct file files[FILES];
	int i, k;

	if (cli->is_json && verify_reports_print(reports))
		return refuse_printed(cli, reports);
	list(reports, files);
	for (i = 0; i < FILES; i++) {
		for (k = 0; k < i; k++) {
			if (files[i].name != NULL && files[k].name != NULL &&
			    strcmp(files[i].name, files[k].name) == 0)
				return cli_usage(cli,
				    "two reports cannot both go to '%s'",
				    files[i].name);
		}
	}
	return CLI_GO_ON;
}

static int64_t
now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int
print(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct cli *cli = arg;

	if (fwrite(data, 1, len, stdout) == len)
		return 0;
	cli->output_errno = errno;
	return cli_error(err, BKP_IO, errno, "writing standard output");
}

static int
write_one(struct cli *cli, const struct verify_reports *reports,
    const struct file *file, struct bkp_error *err)
{
	if (is_printed(file))
		return bkp_report_put(
		    &reports->report, file->format, print, cli, err);
	return bkp_report_save(&reports->report, file->format, file->name, err);
}

enum cli_status
verify_reports_begin(struct cli *cli, struct verify_reports *reports)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct file files[FILES];
	int i;

	reports->report.began_us = now_us();
	list(reports, files);
	for (i = 0; i < FILES; i++) {
		if (files[i].name == NULL || is_printed(&files[i]) ||
		    files[i].format == BKP_REPORT_PROMETHEUS)
			continue;
		if (write_one(cli, reports, &files[i], &err) < 0)
			return cli_fail(cli, &err);
	}
	return CLI_GO_ON;
}

enum cli_status
verify_reports_end(
    struct cli *cli, struct verify_reports *reports, enum cli_status status)
{
	/* Telling what goes wrong here must not change what went wrong. */
	struct bkp_error err = BKP_ERROR_INIT, why = cli->failure;
	struct file files[FILES];
	int i;

	reports->report.ended_us = now_us();
	if (reports->report.began_us == 0)
		reports->report.began_us = reports->report.ended_us;
	if (why.code != BKP_OK)
		reports->report.error = &why;
	list(reports, files);
	for (i = 0; i < FILES; i++) {
		if (files[i].name == NULL)
			continue;
		if (write_one(cli, reports, &files[i], &err) < 0) {
			(void)cli_fail(cli, &err);
			if (status == CLI_COMPLETE || status == CLI_DEGRADED)
				status = CLI_FAILED;
		}
	}
	reports->report.error = NULL;
	reports->report.result = NULL;
	return status;
}
