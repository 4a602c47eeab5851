# SPDX-License-Identifier: Apache-2.0
# Errors, buffers, threads, configuration, secrets: knows no room above it.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/base/arena.c libbackup/base/arena.h \
	libbackup/base/cancel.c \
	libbackup/base/child.c libbackup/base/child.h \
	libbackup/base/child_start.c libbackup/base/child_start.h \
	libbackup/base/config.c libbackup/base/config_impl.h \
	libbackup/base/config_assertions.c \
	libbackup/base/config_choice.c libbackup/base/config_choice.h \
	libbackup/base/config_fields.c libbackup/base/config_fields.h \
	libbackup/base/config_jobs.c libbackup/base/config_jobs.h \
	libbackup/base/config_notifications.c \
	libbackup/base/config_notifications.h \
	libbackup/base/config_limits.c libbackup/base/config_limits.h \
	libbackup/base/config_read.c libbackup/base/config_read.h \
	libbackup/base/config_reader.h \
	libbackup/base/config_references.c \
	libbackup/base/config_references.h \
	libbackup/base/config_sources.c libbackup/base/config_values.c \
	libbackup/base/config_yaml.c libbackup/base/config_yaml.h \
	libbackup/base/config_verification.c \
	libbackup/base/config_verification.h \
	libbackup/base/curl_start.c libbackup/base/curl_start.h \
	libbackup/base/duration.c libbackup/base/duration.h \
	libbackup/base/counted.c libbackup/base/counted.h \
	libbackup/base/fail.c libbackup/base/fail.h \
	libbackup/base/instant.c libbackup/base/instant.h \
	libbackup/base/memfile.c libbackup/base/memfile.h \
	libbackup/base/packed.c libbackup/base/packed.h \
	libbackup/base/pipeline.c libbackup/base/pipeline.h \
	libbackup/base/background.c \
	libbackup/base/place.c libbackup/base/place.h \
	libbackup/base/rate.c libbackup/base/rate.h \
	libbackup/base/run.c libbackup/base/run.h \
	libbackup/base/schedule.c libbackup/base/schedule.h \
	libbackup/base/slots.c libbackup/base/slots.h \
	libbackup/base/temporary.c libbackup/base/temporary.h \
	libbackup/base/secret.c \
	libbackup/base/write.c libbackup/base/write.h
