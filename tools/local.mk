# SPDX-License-Identifier: Apache-2.0
# The commands: one file each over what they share. Public headers only.
bin_PROGRAMS += \
	tools/backup-archive \
	tools/backup-cat \
	tools/backup-check \
	tools/backup-create \
	tools/backup-doctor \
	tools/backup-export \
	tools/backup-guard \
	tools/backup-import \
	tools/backup-init \
	tools/backup-key \
	tools/backup-list \
	tools/backup-prune \
	tools/backup-restore \
	tools/backup-run \
	tools/backup-verify

noinst_LTLIBRARIES += tools/libcli.la
tools_libcli_la_SOURCES = \
	tools/cli.c tools/cli.h \
	tools/cli_archive.c \
	tools/cli_arguments.c \
	tools/cli_config.c \
	tools/cli_priority.c \
	tools/cli_progress.c \
	tools/cli_report.c \
	tools/cli_secret.c \
	tools/cli_text.c
tools_libcli_la_LIBADD = $(JANSSON_LIBS)
TOOL_LIBS = tools/libcli.la libbackup/libbackup.la

tools_backup_archive_SOURCES = tools/backup-archive.c
tools_backup_archive_LDADD = $(TOOL_LIBS)
tools_backup_cat_SOURCES = tools/backup-cat.c
tools_backup_cat_LDADD = $(TOOL_LIBS)
tools_backup_check_SOURCES = tools/backup-check.c
tools_backup_check_LDADD = $(TOOL_LIBS)
tools_backup_create_SOURCES = tools/backup-create.c
tools_backup_create_LDADD = $(TOOL_LIBS)
tools_backup_doctor_SOURCES = tools/backup-doctor.c
tools_backup_doctor_LDADD = $(TOOL_LIBS)
tools_backup_export_SOURCES = tools/backup-export.c
tools_backup_export_LDADD = $(TOOL_LIBS)
tools_backup_guard_SOURCES = tools/backup-guard.c
tools_backup_guard_LDADD = $(TOOL_LIBS)
tools_backup_import_SOURCES = tools/backup-import.c
tools_backup_import_LDADD = $(TOOL_LIBS)
tools_backup_init_SOURCES = tools/backup-init.c
tools_backup_init_LDADD = $(TOOL_LIBS)
tools_backup_key_SOURCES = tools/backup-key.c
tools_backup_key_LDADD = $(TOOL_LIBS)
tools_backup_list_SOURCES = tools/backup-list.c \
	tools/list_recorded.c tools/list_recorded.h
tools_backup_list_LDADD = $(TOOL_LIBS)
tools_backup_prune_SOURCES = tools/backup-prune.c
tools_backup_prune_LDADD = $(TOOL_LIBS)
tools_backup_restore_SOURCES = tools/backup-restore.c
tools_backup_restore_LDADD = $(TOOL_LIBS)
tools_backup_run_SOURCES = tools/backup-run.c
tools_backup_run_LDADD = $(TOOL_LIBS)
tools_backup_verify_SOURCES = tools/backup-verify.c \
	tools/verify_reports.c tools/verify_reports.h
tools_backup_verify_LDADD = $(TOOL_LIBS)

# What a configuration may hold, for editors.
schemadir = $(pkgdatadir)
dist_schema_DATA = tools/schema/backup.schema.json

# Restore tests in CI: to be copied, and the command that they run.
cidir = $(pkgdatadir)/ci
dist_ci_DATA = tools/ci/github.yml tools/ci/gitlab.yml
dist_ci_SCRIPTS = tools/ci/restore-test

# For those who are told of runs: rules, a dashboard, the form of a webhook.
monitoringdir = $(pkgdatadir)/monitoring
dist_monitoring_DATA = tools/monitoring/alerts.yml \
	tools/monitoring/alerts_test.yml tools/monitoring/dashboard.json \
	tools/monitoring/webhook.schema.json

# bash-completion looks for a file of the command's name.
dist_bashcompletion_DATA += tools/completion/libbackup.bash
COMPLETED = backup-archive backup-cat backup-check backup-create \
	backup-doctor backup-export backup-guard backup-import backup-init \
	backup-key backup-list backup-prune backup-restore backup-run \
	backup-verify

install-data-hook:
	cd '$(DESTDIR)$(bashcompletiondir)' && for name in $(COMPLETED); do \
		rm -f "$$name" && $(LN_S) libbackup.bash "$$name" || exit 1; \
	done

uninstall-hook:
	for name in $(COMPLETED); do \
		rm -f '$(DESTDIR)$(bashcompletiondir)'/"$$name"; \
	done
