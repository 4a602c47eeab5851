# SPDX-License-Identifier: Apache-2.0
# What each kind of source holds, as entries, and where they go back.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/source/source.h
