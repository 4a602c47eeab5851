# SPDX-License-Identifier: Apache-2.0
# Keys, packs, index, snapshots, sessions.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/repository/repository_impl.h
