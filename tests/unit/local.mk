# SPDX-License-Identifier: Apache-2.0
# One cmocka group a program; case names are sentences. Each room of the
# library adds its programs in a block of its own.
UNIT_LIBS = libbackup/libbackup-internal.la $(CMOCKA_LIBS)
UNIT_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
UNIT_TESTS =

# formats, but for age
include tests/unit/formats.mk

# repository
include tests/unit/repository.mk

# base
UNIT_TESTS += tests/unit/test_arena
tests_unit_test_arena_SOURCES = tests/unit/test_arena.c $(FAILING_ALLOC)
tests_unit_test_arena_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_arena_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_arena_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/unit/test_buf tests/unit/test_fail tests/unit/test_instant \
	tests/unit/test_pipeline tests/unit/test_place \
	tests/unit/test_schedule tests/unit/test_slots
tests_unit_test_schedule_SOURCES = tests/unit/test_schedule.c $(FAILING_ALLOC)
tests_unit_test_schedule_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_schedule_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_schedule_LDADD = $(UNIT_LIBS)
tests_unit_test_buf_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_buf_LDADD = $(UNIT_LIBS)
tests_unit_test_fail_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_fail_LDADD = $(UNIT_LIBS)
tests_unit_test_instant_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_instant_LDADD = $(UNIT_LIBS)
tests_unit_test_pipeline_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_pipeline_LDADD = $(UNIT_LIBS)
tests_unit_test_place_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_place_LDADD = $(UNIT_LIBS)
tests_unit_test_slots_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_slots_LDADD = $(UNIT_LIBS)

# children, configuration, files, commands
FAILING_ALLOC = tests/unit/failing_alloc.c tests/unit/failing_alloc.h
WRAP_ALLOC_FLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc \
	-Wl,--wrap=realloc -Wl,--wrap=strdup -Wl,--wrap=strndup
UNIT_TESTS += tests/unit/test_child tests/unit/test_config \
	tests/unit/test_secret
tests_unit_test_child_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_child_LDADD = $(UNIT_LIBS)
tests_unit_test_config_SOURCES = tests/unit/test_config.c $(FAILING_ALLOC)
tests_unit_test_config_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_config_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_config_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/unit/test_command tests/unit/test_files \
	tests/unit/test_files_restore tests/unit/test_files_whole
tests_unit_test_files_whole_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_files_whole_LDADD = $(UNIT_LIBS)
FAKE_SINK = tests/unit/fake_sink.c tests/unit/fake_sink.h
tests_unit_test_command_SOURCES = tests/unit/test_command.c $(FAKE_SINK)
tests_unit_test_command_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_command_LDADD = $(UNIT_LIBS)
FILES_FIXTURE = tests/unit/files_fixture.c tests/unit/files_fixture.h \
	$(FAKE_SINK)
tests_unit_test_files_SOURCES = tests/unit/test_files.c $(FILES_FIXTURE) \
	$(FAILING_ALLOC)
tests_unit_test_files_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_files_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_files_LDADD = $(UNIT_LIBS)
tests_unit_test_files_restore_SOURCES = tests/unit/test_files_restore.c \
	$(FILES_FIXTURE)
tests_unit_test_files_restore_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_files_restore_LDADD = $(UNIT_LIBS)
tests_unit_test_secret_SOURCES = tests/unit/test_secret.c $(FAILING_ALLOC)
tests_unit_test_secret_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_secret_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_secret_LDADD = $(UNIT_LIBS)

# subject
UNIT_TESTS += tests/unit/test_audit tests/unit/test_package
tests_unit_test_audit_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_audit_LDADD = $(UNIT_LIBS)
tests_unit_test_package_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_package_LDADD = $(UNIT_LIBS)

# imports
UNIT_TESTS += tests/unit/test_load_words tests/unit/test_unpack
tests_unit_test_load_words_SOURCES = tests/unit/test_load_words.c \
	$(FAILING_ALLOC)
tests_unit_test_load_words_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_load_words_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_load_words_LDADD = $(UNIT_LIBS)
tests_unit_test_unpack_SOURCES = tests/unit/test_unpack.c $(FAILING_ALLOC)
tests_unit_test_unpack_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_unpack_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_unpack_LDADD = $(UNIT_LIBS)

# store
UNIT_TESTS += tests/unit/test_store tests/unit/test_store_directory \
	tests/unit/test_store_fault tests/unit/test_store_memory
STORE_SUITE = tests/unit/store_conformance.c tests/unit/store_conformance.h
tests_unit_test_store_SOURCES = \
	tests/unit/test_store.c $(STORE_SUITE)
tests_unit_test_store_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_store_LDADD = $(UNIT_LIBS)
tests_unit_test_store_directory_SOURCES = \
	tests/unit/test_store_directory.c $(STORE_SUITE)
tests_unit_test_store_directory_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_store_directory_LDADD = $(UNIT_LIBS)
tests_unit_test_store_fault_SOURCES = \
	tests/unit/test_store_fault.c $(STORE_SUITE)
tests_unit_test_store_fault_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_store_fault_LDADD = $(UNIT_LIBS)
tests_unit_test_store_memory_SOURCES = \
	tests/unit/test_store_memory.c $(STORE_SUITE)
tests_unit_test_store_memory_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_store_memory_LDADD = $(UNIT_LIBS)

# operations
UNIT_TESTS += tests/unit/test_compare tests/unit/test_operations_nomem
tests_unit_test_compare_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_compare_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/unit/test_locks
tests_unit_test_locks_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_locks_LDADD = $(UNIT_LIBS)
tests_unit_test_operations_nomem_SOURCES = \
	tests/unit/test_operations_nomem.c $(FAILING_ALLOC)
tests_unit_test_operations_nomem_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_operations_nomem_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_operations_nomem_LDADD = $(UNIT_LIBS)

# operations: reports
UNIT_TESTS += tests/unit/test_report
tests_unit_test_report_SOURCES = tests/unit/test_report.c $(FAILING_ALLOC)
tests_unit_test_report_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_report_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_report_LDADD = $(UNIT_LIBS)
# references and assertions
UNIT_TESTS += tests/unit/test_config_jobs tests/unit/test_config_schema
tests_unit_test_config_schema_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_config_schema_LDADD = $(UNIT_LIBS)
tests_unit_test_config_jobs_SOURCES = tests/unit/test_config_jobs.c \
	$(FAILING_ALLOC)
tests_unit_test_config_jobs_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_config_jobs_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_config_jobs_LDADD = $(UNIT_LIBS)

UNIT_TESTS += tests/unit/test_config_notifications
tests_unit_test_config_notifications_SOURCES = \
	tests/unit/test_config_notifications.c $(FAILING_ALLOC)
tests_unit_test_config_notifications_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_config_notifications_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_config_notifications_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/unit/test_config_references tests/unit/test_references
tests_unit_test_config_references_SOURCES = \
	tests/unit/test_config_references.c $(FAILING_ALLOC)
tests_unit_test_config_references_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_config_references_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_config_references_LDADD = $(UNIT_LIBS)
tests_unit_test_references_SOURCES = tests/unit/test_references.c \
	$(FAILING_ALLOC)
tests_unit_test_references_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_references_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_references_LDADD = $(UNIT_LIBS)

# subject: maps of decisions
UNIT_TESTS += tests/unit/test_subject_map
tests_unit_test_subject_map_SOURCES = \
	tests/unit/test_subject_map.c $(FAILING_ALLOC)
tests_unit_test_subject_map_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_subject_map_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_subject_map_LDADD = $(UNIT_LIBS)

# retention
UNIT_TESTS += tests/unit/test_retention tests/unit/test_retention_safeguards
RETENTION_FIXTURE = tests/unit/retention_fixture.c \
	tests/unit/retention_fixture.h
tests_unit_test_retention_SOURCES = tests/unit/test_retention.c \
	$(RETENTION_FIXTURE)
tests_unit_test_retention_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_retention_LDADD = $(UNIT_LIBS)
tests_unit_test_retention_safeguards_SOURCES = \
	tests/unit/test_retention_safeguards.c $(RETENTION_FIXTURE) \
	$(FAILING_ALLOC)
tests_unit_test_retention_safeguards_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_retention_safeguards_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_retention_safeguards_LDADD = $(UNIT_LIBS)

# age: the vectors print TAP themselves
check_PROGRAMS += tests/unit/test_age_vectors
TESTS += tests/unit/test_age_vectors
tests_unit_test_age_vectors_CFLAGS = $(AM_CFLAGS) $(ZLIB_CFLAGS)
tests_unit_test_age_vectors_LDADD = formats/libformats.la $(ZLIB_LIBS)
check_PROGRAMS += tests/unit/age_tool
tests_unit_age_tool_LDADD = formats/libformats.la
UNIT_TESTS += tests/unit/test_age tests/unit/test_age_text
tests_unit_test_age_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_age_LDADD = $(UNIT_LIBS)
tests_unit_test_age_text_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_age_text_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/unit/test_age_memory
tests_unit_test_age_memory_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_age_memory_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc \
	-Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=strdup
tests_unit_test_age_memory_LDADD = $(UNIT_LIBS)
# limits of bytes a second
UNIT_TESTS += tests/unit/test_rate
tests_unit_test_rate_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rate_LDADD = $(UNIT_LIBS)

# s3
UNIT_TESTS += tests/unit/test_s3_sigv4
tests_unit_test_s3_sigv4_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_s3_sigv4_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/unit/test_bucket_attrs \
	tests/unit/test_bucket_moment \
	tests/unit/test_s3_credentials \
	tests/unit/test_s3_documents \
	tests/unit/test_s3_examples \
	tests/unit/test_s3_libs3_none \
	tests/unit/test_s3_limiter
tests_unit_test_bucket_attrs_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_bucket_attrs_LDADD = $(UNIT_LIBS)
tests_unit_test_bucket_moment_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_bucket_moment_LDADD = $(UNIT_LIBS)
tests_unit_test_s3_credentials_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_s3_credentials_LDADD = $(UNIT_LIBS)
tests_unit_test_s3_documents_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_s3_documents_LDADD = $(UNIT_LIBS)
tests_unit_test_s3_examples_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_s3_examples_LDADD = $(UNIT_LIBS)
tests_unit_test_s3_limiter_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_s3_limiter_LDADD = $(UNIT_LIBS)
tests_unit_test_s3_libs3_none_SOURCES = tests/unit/test_s3_libs3_none.c \
	libbackup/s3/libs3_none.c
tests_unit_test_s3_libs3_none_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_s3_libs3_none_LDADD = $(UNIT_LIBS)

# every version
UNIT_TESTS += tests/unit/test_bucket_older tests/unit/test_version_path
tests_unit_test_bucket_older_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_bucket_older_LDADD = $(UNIT_LIBS)

UNIT_TESTS += tests/unit/test_bucket_cuts
tests_unit_test_bucket_cuts_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_bucket_cuts_LDADD = $(UNIT_LIBS)

UNIT_TESTS += tests/unit/test_bucket_history
tests_unit_test_bucket_history_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_bucket_history_LDADD = $(UNIT_LIBS)
tests_unit_test_version_path_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_version_path_LDADD = $(UNIT_LIBS)

# tools
UNIT_TESTS += tests/unit/test_cli_text
tests_unit_test_cli_text_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_cli_text_LDADD = tools/libcli.la $(CMOCKA_LIBS)

# postgres
UNIT_TESTS += tests/unit/test_postgres_programs \
	tests/unit/test_postgres_session tests/unit/test_postgres_text \
	tests/unit/test_postgres_toc tests/unit/test_postgres_plan
tests_unit_test_postgres_plan_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_postgres_plan_LDADD = $(UNIT_LIBS)
tests_unit_test_postgres_toc_SOURCES = tests/unit/test_postgres_toc.c \
	$(FAILING_ALLOC)
tests_unit_test_postgres_toc_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_postgres_toc_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_postgres_toc_LDADD = $(UNIT_LIBS)
tests_unit_test_postgres_programs_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_postgres_programs_LDADD = $(UNIT_LIBS)
tests_unit_test_postgres_session_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_postgres_session_LDADD = $(UNIT_LIBS)
tests_unit_test_postgres_text_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_postgres_text_LDADD = $(UNIT_LIBS)

# parts of a schema archive
UNIT_TESTS += tests/unit/test_toc_choice
tests_unit_test_toc_choice_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_toc_choice_LDADD = $(UNIT_LIBS)

# scratch places
UNIT_TESTS += tests/unit/test_compare_order tests/unit/test_scratch
UNIT_TESTS += tests/unit/test_bucket_folder
tests_unit_test_bucket_folder_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_bucket_folder_LDADD = $(UNIT_LIBS)
tests_unit_test_compare_order_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_compare_order_LDADD = $(UNIT_LIBS)
tests_unit_test_scratch_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_scratch_LDADD = $(UNIT_LIBS)

if HAVE_CMOCKA
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
endif

# doctor: bundles
UNIT_TESTS += tests/unit/test_bundle tests/unit/test_doctor tests/unit/test_exam
tests_unit_test_bundle_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_bundle_LDADD = $(UNIT_LIBS) $(JANSSON_LIBS)
tests_unit_test_doctor_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_doctor_LDADD = $(UNIT_LIBS)
tests_unit_test_exam_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_exam_LDADD = $(UNIT_LIBS)
