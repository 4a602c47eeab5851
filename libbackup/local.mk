# SPDX-License-Identifier: Apache-2.0
lib_LTLIBRARIES += libbackup/libbackup.la
noinst_LTLIBRARIES += libbackup/libbackup-internal.la

pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = libbackup/libbackup.pc

# What a program includes as <libbackup/...>.
pkgincludesubdir = $(includedir)/libbackup
pkgincludesub_HEADERS = \
	libbackup/cancel.h \
	libbackup/check.h \
	libbackup/config.h \
	libbackup/doctor.h \
	libbackup/error.h \
	libbackup/events.h \
	libbackup/export.h \
	libbackup/job.h \
	libbackup/guard.h \
	libbackup/key.h \
	libbackup/libbackup.h \
	libbackup/notify.h \
	libbackup/operations.h \
	libbackup/report.h \
	libbackup/repository.h \
	libbackup/subject.h \
	libbackup/subject_import.h \
	libbackup/version.h

# Everything lives in a convenience library, so that unit tests reach what the
# shared library hides. Each room appends its files.
libbackup_libbackup_internal_la_SOURCES = libbackup/version.c
libbackup_libbackup_internal_la_LIBADD = formats/libformats.la \
	$(DEPS_LIBS) $(PTHREAD_LIBS)

include libbackup/base/local.mk
include libbackup/store/local.mk
include libbackup/repository/local.mk
include libbackup/postgres/local.mk
include libbackup/s3/local.mk
include libbackup/source/local.mk
include libbackup/archive/local.mk
include libbackup/subject/local.mk
include libbackup/operations/local.mk
include libbackup/jobs/local.mk
include libbackup/doctor/local.mk

libbackup_libbackup_la_SOURCES =
libbackup_libbackup_la_LIBADD = libbackup/libbackup-internal.la
libbackup_libbackup_la_LDFLAGS = $(AM_LDFLAGS) -no-undefined \
	-version-info $(BKP_LIBTOOL_VERSION)
if HAVE_VERSION_SCRIPT
libbackup_libbackup_la_LDFLAGS += \
	-Wl,--version-script=$(top_srcdir)/libbackup/libbackup.sym
endif
EXTRA_libbackup_libbackup_la_DEPENDENCIES = libbackup/libbackup.sym
EXTRA_DIST += libbackup/libbackup.sym
