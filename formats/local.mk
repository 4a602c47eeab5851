# SPDX-License-Identifier: Apache-2.0
# Pure codecs: memory in, memory out.
noinst_LTLIBRARIES += formats/libformats.la

formats_libformats_la_SOURCES = \
	formats/buf.c formats/buf.h \
	formats/status.c formats/status.h
# Digests, chunks, rows, entries and where they lie.
formats_libformats_la_SOURCES += \
	formats/chunker.c formats/chunker.h \
	formats/rowhash.c formats/rowhash.h \
	formats/sign.c formats/sign.h
formats_libformats_la_LIBADD = $(DEPS_LIBS)

dist_noinst_DATA +=

# The specifications of the codecs above.
dist_noinst_DATA += \
	formats/chunker.md \
	formats/rowhash.md
