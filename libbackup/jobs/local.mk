# SPDX-License-Identifier: Apache-2.0
# Runs of jobs, and what is told of them.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/jobs/before.c \
	libbackup/jobs/gone.c \
	libbackup/jobs/hooks.c \
	libbackup/jobs/job.c libbackup/jobs/job_impl.h \
	libbackup/jobs/lock.c libbackup/jobs/lock.h \
	libbackup/jobs/metrics.c libbackup/jobs/metrics.h \
	libbackup/jobs/metrics_file.c \
	libbackup/jobs/metrics_save.c \
	libbackup/jobs/notify.c libbackup/jobs/notify.h \
	libbackup/jobs/notify_http.c \
	libbackup/jobs/notify_mail.c \
	libbackup/jobs/notify_secrets.c \
	libbackup/jobs/notify_test.c \
	libbackup/jobs/notify_text.c \
	libbackup/jobs/notify_webhook.c \
	libbackup/jobs/program.c libbackup/jobs/program.h \
	libbackup/jobs/run.c \
	libbackup/jobs/state.c libbackup/jobs/state.h \
	libbackup/jobs/state_name.c \
	libbackup/jobs/steps.c
