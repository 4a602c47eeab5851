# SPDX-License-Identifier: Apache-2.0
# One snapshot in one file: where it is written to, and reading it anywhere.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/archive/bucket_input.c libbackup/archive/bucket_input.h \
	libbackup/archive/input.c libbackup/archive/input.h \
	libbackup/archive/output.c libbackup/archive/output.h \
	libbackup/archive/output_bucket.c \
	libbackup/archive/output_files.c \
	libbackup/archive/parts.c libbackup/archive/parts.h \
	libbackup/archive/reader.c libbackup/archive/reader.h \
	libbackup/archive/spool.c libbackup/archive/spool.h \
	libbackup/archive/tar.c libbackup/archive/tar.h \
	libbackup/archive/utf8.c libbackup/archive/utf8.h
