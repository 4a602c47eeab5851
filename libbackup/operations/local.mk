# SPDX-License-Identifier: Apache-2.0
# Backup, restore, verify: each reads as the story of the operation.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/operations/archive.c \
	libbackup/operations/archive_import.c \
	libbackup/operations/archive_import.h \
	libbackup/operations/archive_lines.c \
	libbackup/operations/archive_lines.h \
	libbackup/operations/archive_options.c \
	libbackup/operations/archive_options.h \
	libbackup/operations/archive_writer.c \
	libbackup/operations/archive_writer.h \
	libbackup/operations/assertion_command.c \
	libbackup/operations/assertion_sql.c \
	libbackup/operations/assertions.c \
	libbackup/operations/assertions.h \
	libbackup/operations/backup.c \
	libbackup/operations/backup_archive.c \
	libbackup/operations/backup_impl.h \
	libbackup/operations/backup_parts.c \
	libbackup/operations/backup_references.c \
	libbackup/operations/backup_references.h \
	libbackup/operations/check.c \
	libbackup/operations/compare.c libbackup/operations/compare.h \
	libbackup/operations/compare_json.c \
	libbackup/operations/compare_order.c \
	libbackup/operations/compare_parts.c \
	libbackup/operations/content.c libbackup/operations/content.h \
	libbackup/operations/former.c \
	libbackup/operations/guard.c libbackup/operations/guard_impl.h \
	libbackup/operations/guard_back.c \
	libbackup/operations/guard_command.c \
	libbackup/operations/guard_journal.c \
	libbackup/operations/guard_lacks.c \
	libbackup/operations/guard_lines.c \
	libbackup/operations/guard_new.c \
	libbackup/operations/guard_preflight.c \
	libbackup/operations/limits.c libbackup/operations/limits.h \
	libbackup/operations/locks.c libbackup/operations/locks.h \
	libbackup/operations/named_keys.c \
	libbackup/operations/named_keys.h \
	libbackup/operations/opened.c libbackup/operations/opened.h \
	libbackup/operations/opened_omissions.c \
	libbackup/operations/past.c libbackup/operations/past.h \
	libbackup/operations/past_objects.c \
	libbackup/operations/places.c libbackup/operations/places.h \
	libbackup/operations/prune.c \
	libbackup/operations/references.c \
	libbackup/operations/references.h \
	libbackup/operations/references_query.c \
	libbackup/operations/references_query.h \
	libbackup/operations/replay.c libbackup/operations/replay.h \
	libbackup/operations/replay_own.h \
	libbackup/operations/replay_questions.c \
	libbackup/operations/report.c libbackup/operations/report_impl.h \
	libbackup/operations/report_advice.c \
	libbackup/operations/report_advice.h \
	libbackup/operations/report_chart.c \
	libbackup/operations/report_chart.h \
	libbackup/operations/report_history.c \
	libbackup/operations/report_history.h \
	libbackup/operations/report_html.c \
	libbackup/operations/report_json.c \
	libbackup/operations/report_junit.c \
	libbackup/operations/report_prometheus.c \
	libbackup/operations/report_save.c \
	libbackup/operations/report_save.h \
	libbackup/operations/report_style.c \
	libbackup/operations/report_style.h \
	libbackup/operations/report_text.c \
	libbackup/operations/report_text.h \
	libbackup/operations/report_words.c \
	libbackup/operations/restore.c \
	libbackup/operations/restore_check.c libbackup/operations/restore_check.h \
	libbackup/operations/restore_left.c \
	libbackup/operations/restore_left.h \
	libbackup/operations/retention.c libbackup/operations/retention.h \
	libbackup/operations/retention_impl.h \
	libbackup/operations/retention_reasons.c \
	libbackup/operations/retention_rules.c \
	libbackup/operations/room.c libbackup/operations/room.h \
	libbackup/operations/scratch.c libbackup/operations/scratch.h \
	libbackup/operations/scratch_folder.c \
	libbackup/operations/scratch_room.c \
	libbackup/operations/sink.c libbackup/operations/sink.h \
	libbackup/operations/subject.c \
	libbackup/operations/subject_export.c \
	libbackup/operations/subject_forget.c \
	libbackup/operations/subject_impl.h \
	libbackup/operations/subject_import.c \
	libbackup/operations/supply.c \
	libbackup/operations/texts.c \
	libbackup/operations/verdict.c libbackup/operations/verdict.h \
	libbackup/operations/verify.c libbackup/operations/verify_impl.h \
	libbackup/operations/verify_compare.c \
	libbackup/operations/verify_assertions.c \
	libbackup/operations/verify_drop.c \
	libbackup/operations/verify_level.c \
	libbackup/operations/verify_read.c \
	libbackup/operations/verify_record.c \
	libbackup/operations/verify_references.c \
	libbackup/operations/verify_part.c \
	libbackup/operations/verify_replay.c \
	libbackup/operations/verify_sample.c \
	libbackup/operations/verify_times.c
# A backup that several processes make.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/operations/finish.c \
	libbackup/operations/lead.c \
	libbackup/operations/previous.c \
	libbackup/operations/share.c \
	libbackup/operations/share_collect.c \
	libbackup/operations/share_deal.c \
	libbackup/operations/shares.h \
	libbackup/operations/writing.c
