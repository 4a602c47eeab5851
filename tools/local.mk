# SPDX-License-Identifier: Apache-2.0
# What the commands share. Public headers only.
noinst_LTLIBRARIES += tools/libcli.la
tools_libcli_la_SOURCES = \
	tools/cli.c tools/cli.h \
	tools/cli_config.c \
	tools/cli_progress.c \
	tools/cli_report.c \
	tools/cli_secret.c \
	tools/cli_text.c
tools_libcli_la_LIBADD = $(JANSSON_LIBS)

# bash-completion looks for a file of the command's name.
dist_bashcompletion_DATA += tools/completion/libbackup.bash
COMPLETED = backup-cat backup-create backup-init backup-list backup-restore \
	backup-verify

install-data-hook:
	cd '$(DESTDIR)$(bashcompletiondir)' && for name in $(COMPLETED); do \
		rm -f "$$name" && $(LN_S) libbackup.bash "$$name" || exit 1; \
	done

uninstall-hook:
	for name in $(COMPLETED); do \
		rm -f '$(DESTDIR)$(bashcompletiondir)'/"$$name"; \
	done
