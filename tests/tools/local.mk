# SPDX-License-Identifier: Apache-2.0
# The commands over a library that does as it is told (fake_library.c).
noinst_LTLIBRARIES += tests/tools/libfake.la
tests_tools_libfake_la_SOURCES = tests/tools/fake_library.c \
	tests/tools/fake_keys.c \
	libbackup/base/cancel.c libbackup/version.c

FAKE_COMMANDS = \
	tests/tools/fake-backup-archive \
	tests/tools/fake-backup-cat \
	tests/tools/fake-backup-check \
	tests/tools/fake-backup-create \
	tests/tools/fake-backup-guard \
	tests/tools/fake-backup-doctor \
	tests/tools/fake-backup-import \
	tests/tools/fake-backup-init \
	tests/tools/fake-backup-key \
	tests/tools/fake-backup-list \
	tests/tools/fake-backup-prune \
	tests/tools/fake-backup-restore \
	tests/tools/fake-backup-run \
	tests/tools/fake-backup-verify
check_PROGRAMS += $(FAKE_COMMANDS)
FAKE_LIBS = tools/libcli.la tests/tools/libfake.la
tests_tools_fake_backup_archive_SOURCES = tools/backup-archive.c
tests_tools_fake_backup_archive_LDADD = $(FAKE_LIBS)
tests_tools_fake_backup_cat_SOURCES = tools/backup-cat.c
tests_tools_fake_backup_cat_LDADD = $(FAKE_LIBS)
tests_tools_fake_backup_check_SOURCES = tools/backup-check.c
tests_tools_fake_backup_check_LDADD = $(FAKE_LIBS)
tests_tools_fake_backup_create_SOURCES = tools/backup-create.c
tests_tools_fake_backup_create_LDADD = $(FAKE_LIBS)
tests_tools_fake_backup_guard_SOURCES = tools/backup-guard.c
tests_tools_fake_backup_guard_LDADD = $(FAKE_LIBS)
tests_tools_fake_backup_doctor_SOURCES = tools/backup-doctor.c
tests_tools_fake_backup_doctor_LDADD = $(FAKE_LIBS)
tests_tools_fake_backup_import_SOURCES = tools/backup-import.c
tests_tools_fake_backup_import_LDADD = $(FAKE_LIBS)
tests_tools_fake_backup_init_SOURCES = tools/backup-init.c
tests_tools_fake_backup_init_LDADD = $(FAKE_LIBS)
tests_tools_fake_backup_key_SOURCES = tools/backup-key.c
tests_tools_fake_backup_key_LDADD = $(FAKE_LIBS)
tests_tools_fake_backup_list_SOURCES = tools/backup-list.c \
	tools/list_recorded.c tools/list_recorded.h
tests_tools_fake_backup_list_LDADD = $(FAKE_LIBS)
tests_tools_fake_backup_prune_SOURCES = tools/backup-prune.c
tests_tools_fake_backup_prune_LDADD = $(FAKE_LIBS)
tests_tools_fake_backup_restore_SOURCES = tools/backup-restore.c
tests_tools_fake_backup_restore_LDADD = $(FAKE_LIBS)
tests_tools_fake_backup_run_SOURCES = tools/backup-run.c
tests_tools_fake_backup_run_LDADD = $(FAKE_LIBS)
tests_tools_fake_backup_verify_SOURCES = tools/backup-verify.c \
	tools/verify_reports.c tools/verify_reports.h
tests_tools_fake_backup_verify_LDADD = $(FAKE_LIBS)

dist_check_SCRIPTS += tests/tools/commands.t tests/tools/first_use.t \
	tests/tools/terminal.t
EXTRA_DIST += tests/tools/terminal.py
TESTS += tests/tools/commands.t tests/tools/first_use.t \
	tests/tools/terminal.t
