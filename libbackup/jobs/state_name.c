/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/job.h"

const char *
bkp_job_state_name(enum bkp_job_state state)
{
	switch (state) {
	case BKP_JOB_NONE:
		break;
	case BKP_JOB_RUNNING:
		return "running";
	case BKP_JOB_COMPLETE:
		return "complete";
	case BKP_JOB_DEGRADED:
		return "degraded";
	case BKP_JOB_FAILED:
		return "failed";
	case BKP_JOB_OVERLAPPED:
		return "overlapped";
	case BKP_JOB_OUTSIDE:
		return "outside";
	case BKP_JOB_NOT_DUE:
		return "not due";
	}
	return "none";
}
