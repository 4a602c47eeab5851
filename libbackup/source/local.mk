# SPDX-License-Identifier: Apache-2.0
# What each kind of source holds, as entries, and where they go back.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/source/command.c \
	libbackup/source/files.c libbackup/source/files_impl.h \
	libbackup/source/files_attrs.c \
	libbackup/source/files_places.c libbackup/source/files_places.h \
	libbackup/source/files_source.c \
	libbackup/source/files_target.c \
	libbackup/source/files_walk.c \
	libbackup/source/files_write.c \
	libbackup/source/kinds.c \
	libbackup/source/source.h

# bucket
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/source/bucket.c libbackup/source/bucket_impl.h \
	libbackup/source/bucket_attrs.c \
	libbackup/source/bucket_changes.c libbackup/source/bucket_changes.h \
	libbackup/source/bucket_cuts.c libbackup/source/bucket_cuts.h \
	libbackup/source/bucket_delete.c libbackup/source/bucket_delete.h \
	libbackup/source/bucket_fetch.c \
	libbackup/source/bucket_folder.c libbackup/source/bucket_folder.h \
	libbackup/source/bucket_folder_source.c \
	libbackup/source/bucket_folder_target.c \
	libbackup/source/bucket_history.c libbackup/source/bucket_history.h \
	libbackup/source/bucket_history_open.c \
	libbackup/source/bucket_item.c \
	libbackup/source/bucket_leftovers.c \
	libbackup/source/bucket_lineage.c libbackup/source/bucket_lineage.h \
	libbackup/source/bucket_lineage_put.c \
	libbackup/source/bucket_lock.c \
	libbackup/source/bucket_moment.c libbackup/source/bucket_moment.h \
	libbackup/source/bucket_older.c libbackup/source/bucket_older.h \
	libbackup/source/bucket_parts.c libbackup/source/bucket_parts.h \
	libbackup/source/bucket_pipeline.c \
	libbackup/source/bucket_plan.c \
	libbackup/source/bucket_put.c libbackup/source/bucket_put.h \
	libbackup/source/bucket_remove.c libbackup/source/bucket_remove.h \
	libbackup/source/bucket_same.c \
	libbackup/source/bucket_tags.c \
	libbackup/source/bucket_there.c \
	libbackup/source/bucket_scratch.c \
	libbackup/source/bucket_share.c \
	libbackup/source/bucket_source.c libbackup/source/bucket_source.h \
	libbackup/source/bucket_target.c libbackup/source/bucket_target.h \
	libbackup/source/bucket_target_put.c \
	libbackup/source/bucket_walk.c libbackup/source/bucket_walk.h
# postgres
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/source/postgres.c \
	libbackup/source/postgres_after.c \
	libbackup/source/postgres_amcheck.c \
	libbackup/source/postgres_analyze.c \
	libbackup/source/postgres_cluster.c \
	libbackup/source/postgres_cluster.h \
	libbackup/source/postgres_build.c \
	libbackup/source/postgres_collations.c \
	libbackup/source/postgres_examine.c \
	libbackup/source/postgres_examine.h \
	libbackup/source/postgres_extensions.c \
	libbackup/source/postgres_former.c \
	libbackup/source/postgres_former.h \
	libbackup/source/postgres_form.c libbackup/source/postgres_form.h \
	libbackup/source/postgres_largeobjects.c \
	libbackup/source/postgres_load.c libbackup/source/postgres_load.h \
	libbackup/source/postgres_load_impl.h \
	libbackup/source/postgres_load_rows.c \
	libbackup/source/postgres_load_table.c \
	libbackup/source/postgres_moment.c \
	libbackup/source/postgres_objects.c \
	libbackup/source/postgres_part.c \
	libbackup/source/postgres_pieces.c \
	libbackup/source/postgres_pieces.h \
	libbackup/source/postgres_place.c \
	libbackup/source/postgres_plan.c \
	libbackup/source/postgres_queue.c libbackup/source/postgres_queue.h \
	libbackup/source/postgres_profile.c \
	libbackup/source/postgres_prove.c \
	libbackup/source/postgres_rest.c \
	libbackup/source/postgres_roles.c \
	libbackup/source/postgres_sections.c \
	libbackup/source/postgres_scratch.c \
	libbackup/source/postgres_scratch.h \
	libbackup/source/postgres_server.c \
	libbackup/source/postgres_share.c \
	libbackup/source/postgres_share_run.c \
	libbackup/source/postgres_server.h \
	libbackup/source/postgres_source.c \
	libbackup/source/postgres_source.h \
	libbackup/source/postgres_swap.c \
	libbackup/source/postgres_tables.c \
	libbackup/source/postgres_target.c \
	libbackup/source/postgres_target.h
# postgres, incremental
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/source/postgres_incremental.c \
	libbackup/source/postgres_incremental.h
EXTRA_DIST += libbackup/source/incremental.md
