# SPDX-License-Identifier: Apache-2.0
# Runs of jobs, and what is told of them.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/jobs/state_name.c
