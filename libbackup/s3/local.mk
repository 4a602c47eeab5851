# SPDX-License-Identifier: Apache-2.0
libbackup_libbackup_internal_la_SOURCES +=
