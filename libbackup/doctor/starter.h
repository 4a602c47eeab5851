/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_DOCTOR_STARTER_H
#define LIBBACKUP_DOCTOR_STARTER_H

/* What starts backups by itself: a systemd timer that is switched on, whose
 * unit names one of our commands, or a cron file that does. */

#include <stdbool.h>
#include <stddef.h>

/* Its path into `found`. `root` is put before all places; "": this machine. */
bool bkp_exam_starter(const char *root, char *found, size_t size);

#endif
