/* SPDX-License-Identifier: Apache-2.0 */
/* Who says that he is at work: sessions that nobody will end by himself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/checker.h"
#include "libbackup/repository/presence.h"

bool
bkp_check_is_unreadable_session(const struct bkp_presence_info *session)
{
	return session->what[0] == '\0' && !session->is_given_up;
}

/* "3:05 hours ago", by the clock of this machine: to be read by people. */
static void
describe_age(
    const struct bkp_presence_info *session, int64_t now_us, char text[64])
{
	int64_t minutes = (now_us - session->touched_us) / 60000000;

	if (minutes < 0)
		(void)snprintf(text, 64, "at a time that is yet to come");
	else
		(void)snprintf(text, 64, "%lld:%02lld hours ago",
		    (long long)minutes / 60, (long long)minutes % 60);
}

/* It might be somebody at work whom nobody here believes, so it is heeded. */
static int
tell_unreadable(struct bkp_checker *checker, const char *path,
    const struct bkp_presence_info *session, const char *age,
    struct bkp_error *err)
{
	return bkp_finding_add(&checker->findings, NULL, BKP_FINDING_WARNING,
	    "session-damaged", path, err,
	    "%s: this is no session that a host with a right to write "
	    "announced, or it is damaged; it was stored %s; %s",
	    path, age,
	    session->is_expired
		? "that is longer than a day, so nobody waits for it any more, "
		  "and the next backup-prune or backup-check --repair takes "
		  "it away"
		: "a repair waits for half an hour after that and a prune for "
		  "a day, as somebody might be at work; where nobody is, "
		  "remove it now");
}

static int
tell(struct bkp_checker *checker, const struct bkp_presence_info *session,
    int64_t now_us, struct bkp_error *err)
{
	char path[64], age[64];

	(void)snprintf(path, sizeof(path), "sessions/%s", session->id);
	describe_age(session, now_us, age);
	if (session->is_newer && !session->is_given_up)
		return bkp_check_newer(checker, path, err);
	if (bkp_check_is_unreadable_session(session))
		return tell_unreadable(checker, path, session, age, err);
	if (session->is_given_up && session->touched_us == 0)
		(void)snprintf(
		    path, sizeof(path), "sessions/%s.gone", session->id);
	if (session->is_given_up || session->is_ended)
		return bkp_finding_add(&checker->findings, NULL,
		    BKP_FINDING_NOTE, "session-left", path, err,
		    "%s: left of a session that is over; the next backup-prune "
		    "takes it away",
		    path);
	if (!session->is_expired)
		return 0;
	return bkp_finding_add(&checker->findings, NULL, BKP_FINDING_NOTE,
	    "session-dead", path, err,
	    "%s: a %s of host %s gave its last sign of life %s; nobody waits "
	    "for it any more, and the next backup-prune takes it away",
	    path, session->what, session->host, age);
}

int
bkp_check_sessions(struct bkp_checker *checker, struct bkp_error *err)
{
	struct bkp_presence_info *sessions = NULL;
	size_t count = 0;
	int64_t now_us;
	int rc = bkp_presence_list(
	    checker->repository, NULL, &sessions, &count, &now_us, err);

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = tell(checker, &sessions[i], now_us, err);
	free(sessions);
	return rc;
}
