# SPDX-License-Identifier: Apache-2.0
# One client for every use of S3: signing, requests, listing, transfer.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/s3/bucket.c \
	libbackup/s3/connection.c \
	libbackup/s3/credentials.c libbackup/s3/credentials.h \
	libbackup/s3/deletions.c \
	libbackup/s3/digest.c \
	libbackup/s3/documents.c \
	libbackup/s3/entries.c libbackup/s3/entries.h \
	libbackup/s3/etag.c libbackup/s3/etag.h \
	libbackup/s3/failure.c \
	libbackup/s3/fields.c libbackup/s3/fields.h \
	libbackup/s3/libs3.h \
	libbackup/s3/limiter.c libbackup/s3/limiter.h \
	libbackup/s3/link.c \
	libbackup/s3/list.c \
	libbackup/s3/lock.c \
	libbackup/s3/multipart.c \
	libbackup/s3/object.c \
	libbackup/s3/pages.c libbackup/s3/pages.h \
	libbackup/s3/parallel.c \
	libbackup/s3/put.c \
	libbackup/s3/ranges.c libbackup/s3/ranges.h \
	libbackup/s3/request.c libbackup/s3/request.h \
	libbackup/s3/s3.h \
	libbackup/s3/signing.c libbackup/s3/signing.h \
	libbackup/s3/transfer.c \
	libbackup/s3/uploads.c \
	libbackup/s3/versions.c \
	libbackup/s3/xml.c libbackup/s3/xml.h

# Signature version 2.
LIBS3_FILES = libbackup/s3/libs3.c \
	libbackup/s3/libs3_call.c \
	libbackup/s3/libs3_headers.c \
	libbackup/s3/libs3_impl.h \
	libbackup/s3/libs3_judge.c \
	libbackup/s3/libs3_limits.c \
	libbackup/s3/libs3_list.c
if HAVE_LIBS3
libbackup_libbackup_internal_la_SOURCES += $(LIBS3_FILES)
else
libbackup_libbackup_internal_la_SOURCES += libbackup/s3/libs3_none.c
endif
EXTRA_DIST += $(LIBS3_FILES) libbackup/s3/libs3_none.c
