# SPDX-License-Identifier: Apache-2.0
# Keys, packs, index, snapshots, sessions.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/repository/chunk_reader.c \
	libbackup/repository/chunk_writer.c \
	libbackup/repository/chunk_writer_own.h \
	libbackup/repository/entries.c \
	libbackup/repository/entry_version.c \
	libbackup/repository/entry_stream.c \
	libbackup/repository/fields.c libbackup/repository/fields.h \
	libbackup/repository/file.c libbackup/repository/file.h \
	libbackup/repository/identity.c \
	libbackup/repository/index_cache.c \
	libbackup/repository/index_cache.h \
	libbackup/repository/index_directory.c \
	libbackup/repository/index_directory.h \
	libbackup/repository/index_fetch.c \
	libbackup/repository/index_fetch.h \
	libbackup/repository/index_file.c libbackup/repository/index_file.h \
	libbackup/repository/index_gone.c \
	libbackup/repository/index_load.c \
	libbackup/repository/index_packs.c \
	libbackup/repository/index_prove.c \
	libbackup/repository/index_set.c libbackup/repository/index_set.h \
	libbackup/repository/index_set_own.h \
	libbackup/repository/init.c \
	libbackup/repository/key_documents.c \
	libbackup/repository/key_ring.c libbackup/repository/key_ring.h \
	libbackup/repository/known_set.c libbackup/repository/known_set.h \
	libbackup/repository/list_writer.c \
	libbackup/repository/object.c libbackup/repository/object.h \
	libbackup/repository/pack_builder.c \
	libbackup/repository/pack_builder.h \
	libbackup/repository/proofs.c libbackup/repository/proofs.h \
	libbackup/repository/repository.c \
	libbackup/repository/repository_impl.h \
	libbackup/repository/repository_own.h \
	libbackup/repository/row_cache.c libbackup/repository/row_cache.h \
	libbackup/repository/row_seal.c libbackup/repository/row_seal.h \
	libbackup/repository/row_writer.c \
	libbackup/repository/joined.h \
	libbackup/repository/session.c libbackup/repository/session_joined.c \
	libbackup/repository/session_own.h \
	libbackup/repository/snapshot_list.c \
	libbackup/repository/snapshots.c \
	libbackup/repository/upload.c
# Keys, and the roster of who may open and who may write.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/repository/copies.c libbackup/repository/copies.h \
	libbackup/repository/key_admins.c \
	libbackup/repository/key_change.c libbackup/repository/key_change.h \
	libbackup/repository/key_check.c libbackup/repository/key_check.h \
	libbackup/repository/key_hosts.c \
	libbackup/repository/key_list.c \
	libbackup/repository/key_objects.c libbackup/repository/key_objects.h \
	libbackup/repository/key_sheet.c \
	libbackup/repository/names.c \
	libbackup/repository/open_keys.c \
	libbackup/repository/roster.c libbackup/repository/roster.h \
	libbackup/repository/roster_record.c \
	libbackup/repository/sheet_lines.c \
	libbackup/repository/sheet_lines.h
EXTRA_DIST += libbackup/repository/roster.md
EXTRA_DIST += libbackup/repository/prune.md libbackup/repository/prune.pml
# An archive in place of one.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/repository/archive_view.c libbackup/repository/archive_view.h
# What is stated about a repository, who is at work, what may go.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/repository/claims.c libbackup/repository/claims.h \
	libbackup/repository/condemned.c libbackup/repository/condemned.h \
	libbackup/repository/presence.c libbackup/repository/presence.h \
	libbackup/repository/process.c libbackup/repository/process.h \
	libbackup/repository/reserve.c libbackup/repository/reserve.h \
	libbackup/repository/prune.c libbackup/repository/prune.h \
	libbackup/repository/prune_index.c \
	libbackup/repository/prune_locks.c \
	libbackup/repository/prune_own.h \
	libbackup/repository/prune_packs.c \
	libbackup/repository/prune_remove.c \
	libbackup/repository/prune_repack.c \
	libbackup/repository/prune_survey.c \
	libbackup/repository/reach.c libbackup/repository/reach.h
# Check and repair.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/repository/check.c libbackup/repository/checker.h \
	libbackup/repository/check_findings.c \
	libbackup/repository/check_memory.c \
	libbackup/repository/check_misplaced.c \
	libbackup/repository/check_objects.c \
	libbackup/repository/check_packs.c \
	libbackup/repository/check_parity.c \
	libbackup/repository/check_read.c \
	libbackup/repository/check_salvage.c \
	libbackup/repository/check_sessions.c \
	libbackup/repository/check_strays.c \
	libbackup/repository/check_walk.c \
	libbackup/repository/prover.c libbackup/repository/prover.h
# Who was erased.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/repository/erasures.c libbackup/repository/erasures.h
# What should be there.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/repository/checkpoint.c \
	libbackup/repository/history.c libbackup/repository/history.h \
	libbackup/repository/history_compare.c \
	libbackup/repository/history_damaged.c \
	libbackup/repository/history_erasures.c \
	libbackup/repository/history_own.h \
	libbackup/repository/history_remember.c \
	libbackup/repository/remembered.c libbackup/repository/remembered.h
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/repository/repair.c libbackup/repository/repair.h \
	libbackup/repository/repair_index.c \
	libbackup/repository/repair_packs.c \
	libbackup/repository/repair_parity.c \
	libbackup/repository/repair_places.c \
	libbackup/repository/repair_rest.c \
	libbackup/repository/repair_strays.c
# Backups that several processes make.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/repository/session_share.c \
	libbackup/repository/shares.c libbackup/repository/shares.h
