# SPDX-License-Identifier: Apache-2.0
# What is known about PostgreSQL: sessions, snapshot, catalogue, copy, schema.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/postgres/analyze.c libbackup/postgres/analyze.h \
	libbackup/postgres/catalogue.c libbackup/postgres/catalogue.h \
	libbackup/postgres/collations.c libbackup/postgres/collations.h \
	libbackup/postgres/conninfo.c libbackup/postgres/conninfo.h \
	libbackup/postgres/copy.c libbackup/postgres/copy.h \
	libbackup/postgres/definitions.c \
	libbackup/postgres/definitions.h \
	libbackup/postgres/describe.c libbackup/postgres/describe.h \
	libbackup/postgres/drop.c libbackup/postgres/drop.h \
	libbackup/postgres/dump.c libbackup/postgres/dump.h \
	libbackup/postgres/exchange.c libbackup/postgres/exchange.h \
	libbackup/postgres/front.c libbackup/postgres/front.h \
	libbackup/postgres/holder.c libbackup/postgres/holder.h \
	libbackup/postgres/identity.c libbackup/postgres/identity.h \
	libbackup/postgres/largeobject.c libbackup/postgres/largeobject.h \
	libbackup/postgres/longest.c libbackup/postgres/longest.h \
	libbackup/postgres/names.c libbackup/postgres/names.h \
	libbackup/postgres/pooler.c libbackup/postgres/pooler.h \
	libbackup/postgres/programs.c libbackup/postgres/programs.h \
	libbackup/postgres/renamed.c libbackup/postgres/renamed.h \
	libbackup/postgres/restore.c libbackup/postgres/restore.h \
	libbackup/postgres/session.c libbackup/postgres/session.h \
	libbackup/postgres/sqlarray.c \
	libbackup/postgres/sqlcatalogue.c \
	libbackup/postgres/sqlcatalogue.h \
	libbackup/postgres/sqlsteady.c \
	libbackup/postgres/sqltext.c libbackup/postgres/sqltext.h \
	libbackup/postgres/toc.c libbackup/postgres/toc.h \
	libbackup/postgres/toc_choice.c libbackup/postgres/toc_choice.h \
	libbackup/postgres/toc_line.c libbackup/postgres/toc_line.h \
	libbackup/postgres/toc_split.c \
	libbackup/postgres/types.c
# what WAL tells of heaps
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/postgres/heaps.c libbackup/postgres/heaps.h \
	libbackup/postgres/wal.c libbackup/postgres/wal.h
