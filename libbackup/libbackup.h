/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_LIBBACKUP_H
#define LIBBACKUP_LIBBACKUP_H

/* Everything public. Start with operations.h. */

#include <libbackup/cancel.h>
#include <libbackup/check.h>
#include <libbackup/config.h>
#include <libbackup/doctor.h>
#include <libbackup/error.h>
#include <libbackup/events.h>
#include <libbackup/export.h>
#include <libbackup/guard.h>
#include <libbackup/job.h>
#include <libbackup/key.h>
#include <libbackup/notify.h>
#include <libbackup/operations.h>
#include <libbackup/report.h>
#include <libbackup/repository.h>
#include <libbackup/subject.h>
#include <libbackup/subject_import.h>
#include <libbackup/version.h>

#endif
