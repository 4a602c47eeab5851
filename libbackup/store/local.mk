# SPDX-License-Identifier: Apache-2.0
# Objects by name.
libbackup_libbackup_internal_la_SOURCES += \
	libbackup/store/store.c libbackup/store/store.h \
	libbackup/store/store_directory.c \
	libbackup/store/store_fault.c libbackup/store/store_fault.h \
	libbackup/store/store_limit.c libbackup/store/store_limit.h \
	libbackup/store/store_memory.c \
	libbackup/store/parity_repair.c \
	libbackup/store/s3_pool.c libbackup/store/s3_pool.h \
	libbackup/store/store_s3.c libbackup/store/store_s3.h \
	libbackup/store/store_s3_lock.c libbackup/store/store_s3_own.h \
	libbackup/store/store_s3_new.c \
	libbackup/store/store_s3_past.c \
	libbackup/store/store_s3_read.c \
	libbackup/store/store_parity.c libbackup/store/store_parity.h \
	libbackup/store/store_parity_own.h
