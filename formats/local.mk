# SPDX-License-Identifier: Apache-2.0
# Pure codecs: memory in, memory out.
noinst_LTLIBRARIES += formats/libformats.la

formats_libformats_la_SOURCES = \
	formats/buf.c formats/buf.h \
	formats/status.c formats/status.h
# Digests, chunks, rows, entries and where they lie.
formats_libformats_la_SOURCES += \
	formats/bytes.h \
	formats/chunker.c formats/chunker.h \
	formats/claims.c formats/claims.h \
	formats/entry.c formats/entry.h formats/entry_impl.h \
	formats/entry_line.c \
	formats/entry_reader.c \
	formats/index.c formats/index.h formats/index_impl.h \
	formats/index_builder.c \
	formats/json.c formats/json.h \
	formats/json_plain.c formats/json_plain.h \
	formats/json_plain_write.c \
	formats/pack.c formats/pack.h \
	formats/path.c formats/path.h \
	formats/record.c formats/record.h \
	formats/rowhash.c formats/rowhash.h \
	formats/sign.c formats/sign.h \
	formats/snapshot.c formats/snapshot.h formats/snapshot_impl.h \
	formats/snapshot_reader.c
formats_libformats_la_LIBADD = $(DEPS_LIBS)

dist_noinst_DATA +=

# The specifications of the codecs above.
dist_noinst_DATA += \
	formats/chunker.md \
	formats/entry.md \
	formats/index.md \
	formats/pack.md \
	formats/record.md \
	formats/rowhash.md \
	formats/snapshot.md
dist_noinst_DATA += formats/chunker.md
# What is there and what was removed.
formats_libformats_la_SOURCES += \
	formats/checkpoint.c formats/checkpoint.h
dist_noinst_DATA += formats/checkpoint.md
# Who is at work, what may go.
formats_libformats_la_SOURCES += \
	formats/condemned.c formats/condemned.h \
	formats/presence.c formats/presence.h
dist_noinst_DATA += formats/condemned.md formats/presence.md
# Where rows end.
formats_libformats_la_SOURCES += formats/pgcopy.c formats/pgcopy.h
dist_noinst_DATA += formats/pgcopy.md
# Who was erased.
formats_libformats_la_SOURCES += formats/erasure.c formats/erasure.h
dist_noinst_DATA += formats/erasure.md
# Older versions of objects.
formats_libformats_la_SOURCES += formats/version.c formats/version.h
dist_noinst_DATA += formats/version.md
# What verifications found.
formats_libformats_la_SOURCES += formats/proof.c formats/proof.h
dist_noinst_DATA += formats/proof.md
# age files
formats_libformats_la_SOURCES += \
	formats/age.c formats/age.h formats/age_impl.h \
	formats/age_armor.c \
	formats/age_base64.c \
	formats/age_crypto.c \
	formats/age_header.c \
	formats/age_seek.c \
	formats/age_stanza.c \
	formats/age_text.c
dist_noinst_DATA += formats/age.md
# Chunks as differences to others.
formats_libformats_la_SOURCES += \
	formats/delta.c formats/delta.h formats/delta_impl.h \
	formats/delta_make.c \
	formats/siphash.c formats/siphash.h
dist_noinst_DATA += formats/delta.md
# archives
formats_libformats_la_SOURCES += \
	formats/archive.c formats/archive.h \
	formats/archive_names.c
dist_noinst_DATA += formats/archive.md
# Error correction; the arithmetic is ISA-L's.
formats_libformats_la_SOURCES += formats/parity.c formats/parity.h \
	formats/parity_impl.h
if HAVE_ISAL
formats_libformats_la_SOURCES += formats/parity_shards.c
else
formats_libformats_la_SOURCES += formats/parity_none.c
endif
EXTRA_DIST += formats/parity_shards.c formats/parity_none.c
dist_noinst_DATA += formats/parity.md
# PostgreSQL's values as JSON
formats_libformats_la_SOURCES += \
	formats/pgjson.c formats/pgjson.h formats/pgjson_impl.h \
	formats/pgjson_array.c \
	formats/pgjson_document.c
dist_noinst_DATA += formats/pgjson.md
# Backups that several processes make.
formats_libformats_la_SOURCES += \
	formats/share.c formats/share.h formats/share_impl.h \
	formats/share_ranges.c \
	formats/share_result.c
dist_noinst_DATA += formats/share.md
