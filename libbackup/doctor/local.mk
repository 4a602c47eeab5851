# SPDX-License-Identifier: Apache-2.0
# Doctor: what is wrong, or will be, and what to do.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/doctor/bucket.c \
	libbackup/doctor/bucket.h \
	libbackup/doctor/bundle.c \
	libbackup/doctor/bundle.h \
	libbackup/doctor/bundle_parts.c \
	libbackup/doctor/configured.c \
	libbackup/doctor/database.c \
	libbackup/doctor/database.h \
	libbackup/doctor/database_pooler.c \
	libbackup/doctor/database_role.c \
	libbackup/doctor/database_same.c \
	libbackup/doctor/database_standby.c \
	libbackup/doctor/database_state.c \
	libbackup/doctor/doctor.c \
	libbackup/doctor/exam.c \
	libbackup/doctor/exam.h \
	libbackup/doctor/host.c \
	libbackup/doctor/near.c \
	libbackup/doctor/near.h \
	libbackup/doctor/phrases.c \
	libbackup/doctor/phrases.h \
	libbackup/doctor/redact.c \
	libbackup/doctor/redact.h \
	libbackup/doctor/redact_scan.c \
	libbackup/doctor/repository.c \
	libbackup/doctor/repository.h \
	libbackup/doctor/repository_age.c \
	libbackup/doctor/repository_keys.c \
	libbackup/doctor/shape.c \
	libbackup/doctor/starter.c \
	libbackup/doctor/starter.h \
	libbackup/doctor/told.c
