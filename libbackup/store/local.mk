# SPDX-License-Identifier: Apache-2.0
# Objects by name.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/store/store.h
