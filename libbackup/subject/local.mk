# SPDX-License-Identifier: Apache-2.0
# What a database holds about one person or organisation: the map of
# decisions, the walk, what is written from it.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/subject/audit.c libbackup/subject/audit.h \
	libbackup/subject/export_core.c libbackup/subject/export_core.h \
	libbackup/subject/export_core_schema.c \
	libbackup/subject/export_core_sql.c \
	libbackup/subject/export_core_write.c \
	libbackup/subject/export_described.c \
	libbackup/subject/export_files.c \
	libbackup/subject/export_keep.c \
	libbackup/subject/export_html.c libbackup/subject/export_html.h \
	libbackup/subject/export_manifest.c \
	libbackup/subject/export_pages.c \
	libbackup/subject/export_pages.h \
	libbackup/subject/export_schema.c \
	libbackup/subject/export_tables.c \
	libbackup/subject/exported.h \
	libbackup/subject/expression.c \
	libbackup/subject/known.c libbackup/subject/known.h \
	libbackup/subject/keys.c libbackup/subject/keys.h \
	libbackup/subject/likeness.c \
	libbackup/subject/map.c libbackup/subject/map.h \
	libbackup/subject/map_edges.c \
	libbackup/subject/map_own.h \
	libbackup/subject/map_read.c \
	libbackup/subject/map_tables.c \
	libbackup/subject/model.c libbackup/subject/model.h \
	libbackup/subject/model_edges.c \
	libbackup/subject/model_indexes.c \
	libbackup/subject/model_own.h \
	libbackup/subject/model_tables.c \
	libbackup/subject/named.c libbackup/subject/named.h \
	libbackup/subject/names.c libbackup/subject/names.h \
	libbackup/subject/objects.c libbackup/subject/objects.h \
	libbackup/subject/package.c libbackup/subject/package.h \
	libbackup/subject/package_folder.c \
	libbackup/subject/package_own.h \
	libbackup/subject/package_packed.c \
	libbackup/subject/propose.c \
	libbackup/subject/propose_edges.c \
	libbackup/subject/propose_known.c \
	libbackup/subject/propose_own.h \
	libbackup/subject/propose_tables.c \
	libbackup/subject/propose_write.c \
	libbackup/subject/propose_yaml.c \
	libbackup/subject/review.c libbackup/subject/review.h \
	libbackup/subject/review_edges.c \
	libbackup/subject/review_indexes.c \
	libbackup/subject/review_likeness.c \
	libbackup/subject/review_own.h \
	libbackup/subject/review_server.c \
	libbackup/subject/review_tables.c \
	libbackup/subject/rows.c libbackup/subject/rows.h \
	libbackup/subject/rows_impl.h \
	libbackup/subject/rows_replace.c \
	libbackup/subject/rows_sql.c \
	libbackup/subject/walk.c libbackup/subject/walk.h \
	libbackup/subject/walk_chain.c \
	libbackup/subject/walk_edges.c \
	libbackup/subject/walk_explain.c \
	libbackup/subject/walk_impl.h \
	libbackup/subject/walk_open.c \
	libbackup/subject/walk_sql.c \
	libbackup/subject/walk_types.c \
	libbackup/subject/walk_unread.c

# an export, read and loaded
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/subject/load.c libbackup/subject/load.h \
	libbackup/subject/load_choose.c \
	libbackup/subject/load_compare.c \
	libbackup/subject/load_files.c libbackup/subject/load_files.h \
	libbackup/subject/load_keys.c \
	libbackup/subject/load_lookup.c \
	libbackup/subject/load_named.c \
	libbackup/subject/load_order.c \
	libbackup/subject/load_own.h \
	libbackup/subject/load_resolve.c \
	libbackup/subject/load_soft.c libbackup/subject/load_soft.h \
	libbackup/subject/load_soft_sql.c \
	libbackup/subject/load_stage.c \
	libbackup/subject/load_words.c libbackup/subject/load_words.h \
	libbackup/subject/unpack.c libbackup/subject/unpack.h \
	libbackup/subject/unpack_folder.c \
	libbackup/subject/unpack_manifest.c \
	libbackup/subject/unpack_own.h \
	libbackup/subject/unpack_packed.c

# what an erasure deletes and clears
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/subject/erase.c libbackup/subject/erase.h \
	libbackup/subject/erase_clear.c \
	libbackup/subject/erase_objects.c \
	libbackup/subject/erase_own.h \
	libbackup/subject/erase_quiet.c \
	libbackup/subject/erase_references.c
