/* SPDX-License-Identifier: Apache-2.0 */
/* What a tired reader is to do now. */
#include <string.h>

#include "libbackup/operations/report_advice.h"

static void
put_step(struct bkp_report_text *out, const char *step)
{
	bkp_report_add(out, "<li>");
	bkp_report_add(out, step);
	bkp_report_add(out, "</li>\n");
}

/* Where to go if everything is lost this minute. */
static void
put_last_proven(
    const struct bkp_reported *reported, struct bkp_report_text *out)
{
	const struct bkp_snapshot *last = reported->last_proven;

	if (reported->result->history == NULL)
		return;
	if (last == NULL) {
		put_step(out,
		    "No snapshot of this repository is proven. Keep all of "
		    "them until one is.");
		return;
	}
	bkp_report_addf(out,
	    "<li>Should you need a backup right now: the newest one that is "
	    "proven is <code>%.12s</code>, of ",
	    last->name);
	bkp_report_time(out, last->time_us);
	bkp_report_addf(out,
	    " (<code>backup-restore %.12s</code>). <code>backup-prune</code> "
	    "does not remove it.</li>\n",
	    last->name);
}

static bool
has_failed_about(const struct bkp_reported *reported, const char *text)
{
	const struct bkp_verify_result *result = reported->result;

	for (size_t i = 0; i < result->check_count; i++)
		if (result->checks[i].status == BKP_CHECK_FAIL &&
		    result->checks[i].what != NULL &&
		    strstr(result->checks[i].what, text) != NULL)
			return true;
	return false;
}

static void
put_after_failure(
    const struct bkp_reported *reported, struct bkp_report_text *out)
{
	put_last_proven(reported, out);
	if (bkp_reported_is_late(reported)) {
		put_step(out,
		    "What the snapshot holds agrees; only a limit is "
		    "exceeded. Look why the nightly backup did not run or the "
		    "restore took longer, or raise the limit.");
		return;
	}
	if (has_failed_about(reported, "nothing was compared"))
		put_step(out,
		    "Nothing was compared: look whether the sources of the "
		    "configuration hold what you think they do.");
	put_step(out, "<code>backup-check --read-data</code> tells whether the "
		      "repository has lost anything, and <code>backup-check "
		      "--repair</code> mends what can be.");
	put_step(out,
	    "If the repository is whole, read the first failure above: what "
	    "was backed up does not go back as it is. A missing extension or "
	    "another version of the server on this machine are usual "
	    "reasons.");
	put_step(out,
	    "Make a new backup, and prove that one: <code>backup-create "
	    "&amp;&amp; backup-verify</code>.");
}

static void
put_after_difference(struct bkp_report_text *out)
{
	put_step(out,
	    "What was written since the backup differs, and that is no "
	    "fault: compare right after a restore, before anybody uses it.");
	put_step(out,
	    "Whether the backup itself is good tells "
	    "<code>backup-verify</code> without <code>--live</code>.");
}

/* By what the caller can do (libbackup/error.h). */
static const char *
step_for(int code)
{
	switch (code) {
	case BKP_AUTH:
		return "A key, a password or a permission is wrong or "
		       "missing: a verification needs one that opens contents "
		       "(<code>--identity-file</code> or a passphrase), not "
		       "only the host key.";
	case BKP_NOTFOUND:
		return "Something that was named is not there: look at the "
		       "name in the message; <code>backup-list</code> shows "
		       "the snapshots there are.";
	case BKP_CORRUPT:
		return "Stored bytes are not what was stored: "
		       "<code>backup-check --read-data</code> names all that "
		       "is damaged and which snapshots it hurts.";
	case BKP_RETRY:
		return "It may go through when tried again later.";
	case BKP_NOMEM:
		return "Memory was short: try with fewer "
		       "<code>--workers</code>.";
	case BKP_UNSUPPORTED:
	case BKP_INVALID:
		return "The request or the configuration is wrong: mend what "
		       "the message names.";
	default:
		return "A system or a server refused: look at what the "
		       "message names, such as the room in the scratch "
		       "directory or whether the server can be reached.";
	}
}

static void
put_after_error(
    const struct bkp_reported *reported, struct bkp_report_text *out)
{
	if (reported->outcome == BKP_OUTCOME_ERROR)
		put_step(out, step_for(reported->report->error->code));
	else if (reported->outcome == BKP_OUTCOME_UNFINISHED)
		put_step(out,
		    "If it does not run any more, it was killed: by a time "
		    "limit of the CI job, for want of memory, or with the "
		    "machine.");
	put_step(out,
	    "Run <code>backup-verify</code> again. Until then nothing is "
	    "known: not that the backup is bad, and not that it is good.");
}

void
bkp_report_advice(
    const struct bkp_reported *reported, struct bkp_report_text *out)
{
	if (reported->outcome == BKP_OUTCOME_PROVEN ||
	    reported->outcome == BKP_OUTCOME_DEGRADED)
		return;
	bkp_report_add(out, "<h2>What to do</h2>\n<ol>\n");
	if (reported->outcome != BKP_OUTCOME_FAILED)
		put_after_error(reported, out);
	else if (reported->report->mode == BKP_VERIFY_LIVE)
		put_after_difference(out);
	else
		put_after_failure(reported, out);
	bkp_report_add(out, "</ol>\n");
}
