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
