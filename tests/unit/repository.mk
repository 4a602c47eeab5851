# SPDX-License-Identifier: Apache-2.0
# The repository.
REPOSITORY_FIXTURE = tests/unit/repository_fixture.c \
	tests/unit/repository_fixture.h \
	tests/unit/store_conformance.c tests/unit/store_conformance.h
UNIT_TESTS += \
	tests/unit/test_repository
tests_unit_test_repository_SOURCES = tests/unit/test_repository.c \
	$(REPOSITORY_FIXTURE)
tests_unit_test_repository_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_repository_LDADD = $(UNIT_LIBS)
UNIT_TESTS += \
	tests/unit/test_repository_session
tests_unit_test_repository_session_SOURCES = \
	tests/unit/test_repository_session.c $(REPOSITORY_FIXTURE)
tests_unit_test_repository_session_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_repository_session_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/unit/test_joined
tests_unit_test_joined_SOURCES = tests/unit/test_joined.c $(REPOSITORY_FIXTURE)
tests_unit_test_joined_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_joined_LDADD = $(UNIT_LIBS)
UNIT_TESTS += \
	tests/unit/test_repository_damage
tests_unit_test_repository_damage_SOURCES = \
	tests/unit/test_repository_damage.c $(REPOSITORY_FIXTURE)
tests_unit_test_repository_damage_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_repository_damage_LDADD = $(UNIT_LIBS)
UNIT_TESTS += \
	tests/unit/test_index_set
tests_unit_test_index_set_SOURCES = \
	tests/unit/test_index_set.c $(REPOSITORY_FIXTURE)
tests_unit_test_index_set_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_index_set_LDADD = $(UNIT_LIBS)
UNIT_TESTS += \
	tests/unit/test_reach
tests_unit_test_reach_SOURCES = tests/unit/test_reach.c \
	$(REPOSITORY_FIXTURE)
tests_unit_test_reach_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_reach_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/unit/test_proofs
tests_unit_test_proofs_SOURCES = tests/unit/test_proofs.c $(REPOSITORY_FIXTURE)
tests_unit_test_proofs_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_proofs_LDADD = $(UNIT_LIBS)
UNIT_TESTS += \
	tests/unit/test_key_check
tests_unit_test_key_check_SOURCES = tests/unit/test_key_check.c \
	$(REPOSITORY_FIXTURE)
tests_unit_test_key_check_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_key_check_LDADD = $(UNIT_LIBS)
# Processes that die.
CRASH_FIXTURE = tests/unit/crash_fixture.c tests/unit/crash_fixture.h \
	$(REPOSITORY_FIXTURE)
UNIT_TESTS += tests/unit/test_crash tests/unit/test_crash_archive
tests_unit_test_crash_SOURCES = tests/unit/test_crash.c $(CRASH_FIXTURE)
tests_unit_test_crash_archive_SOURCES = tests/unit/test_crash_archive.c \
	$(CRASH_FIXTURE)
tests_unit_test_crash_archive_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_crash_archive_LDADD = $(UNIT_LIBS)
tests_unit_test_crash_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_crash_LDADD = $(UNIT_LIBS)
# What should be there.
HISTORY_FIXTURE = tests/unit/history_fixture.c \
	tests/unit/history_fixture.h $(REPOSITORY_FIXTURE)
UNIT_TESTS += tests/unit/test_history tests/unit/test_history_checkpoint \
	tests/unit/test_history_others
tests_unit_test_history_SOURCES = tests/unit/test_history.c \
	$(HISTORY_FIXTURE)
tests_unit_test_history_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_history_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/unit/test_erasures
tests_unit_test_erasures_SOURCES = tests/unit/test_erasures.c \
	$(FAILING_ALLOC) $(HISTORY_FIXTURE)
tests_unit_test_erasures_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_erasures_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_erasures_LDADD = $(UNIT_LIBS)
tests_unit_test_history_checkpoint_SOURCES = \
	tests/unit/test_history_checkpoint.c $(HISTORY_FIXTURE)
tests_unit_test_history_checkpoint_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_history_checkpoint_LDADD = $(UNIT_LIBS)
tests_unit_test_history_others_SOURCES = tests/unit/test_history_others.c \
	$(HISTORY_FIXTURE)
tests_unit_test_history_others_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_history_others_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/unit/test_rows
tests_unit_test_rows_SOURCES = tests/unit/test_rows.c $(REPOSITORY_FIXTURE)
tests_unit_test_rows_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rows_LDADD = $(UNIT_LIBS)
PRUNE_FIXTURE = tests/unit/prune_fixture.c tests/unit/prune_fixture.h \
	$(REPOSITORY_FIXTURE)
UNIT_TESTS += tests/unit/test_prune tests/unit/test_prune_crash \
	tests/unit/test_prune_index tests/unit/test_prune_others
tests_unit_test_prune_SOURCES = tests/unit/test_prune.c \
	$(PRUNE_FIXTURE)
tests_unit_test_prune_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_prune_LDADD = $(UNIT_LIBS)
tests_unit_test_prune_crash_SOURCES = tests/unit/test_prune_crash.c \
	$(PRUNE_FIXTURE)
tests_unit_test_prune_crash_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_prune_crash_LDADD = $(UNIT_LIBS)
tests_unit_test_prune_index_SOURCES = tests/unit/test_prune_index.c \
	$(PRUNE_FIXTURE)
tests_unit_test_prune_index_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_prune_index_LDADD = $(UNIT_LIBS)
tests_unit_test_prune_others_SOURCES = tests/unit/test_prune_others.c \
	$(PRUNE_FIXTURE)
tests_unit_test_prune_others_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_prune_others_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/unit/test_presence
tests_unit_test_presence_SOURCES = tests/unit/test_presence.c \
	$(REPOSITORY_FIXTURE)
tests_unit_test_presence_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_presence_LDADD = $(UNIT_LIBS)
PATIENT = tests/unit/check_patient.c tests/unit/check_patient.h \
	$(REPOSITORY_FIXTURE)
UNIT_TESTS += \
	tests/unit/test_check_damage
tests_unit_test_check_damage_SOURCES = tests/unit/test_check_damage.c \
	$(PATIENT)
tests_unit_test_check_damage_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_check_damage_LDADD = $(UNIT_LIBS)
UNIT_TESTS += \
	tests/unit/test_repair
tests_unit_test_repair_SOURCES = tests/unit/test_repair.c $(PATIENT)
tests_unit_test_repair_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_repair_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/unit/test_newer
tests_unit_test_newer_SOURCES = tests/unit/test_newer.c $(REPOSITORY_FIXTURE)
tests_unit_test_newer_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_newer_LDADD = $(UNIT_LIBS) $(JANSSON_LIBS)
KEYS_FIXTURE = tests/unit/keys_fixture.c tests/unit/keys_fixture.h \
	$(REPOSITORY_FIXTURE)
UNIT_TESTS += tests/unit/test_keys tests/unit/test_keys_faults
tests_unit_test_keys_SOURCES = tests/unit/test_keys.c $(KEYS_FIXTURE)
tests_unit_test_keys_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_keys_LDADD = $(UNIT_LIBS)
tests_unit_test_keys_faults_SOURCES = tests/unit/test_keys_faults.c \
	$(KEYS_FIXTURE)
tests_unit_test_keys_faults_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_keys_faults_LDADD = $(UNIT_LIBS)
UNIT_TESTS += \
	tests/unit/test_prune_stress
tests_unit_test_prune_stress_SOURCES = tests/unit/test_prune_stress.c \
	$(REPOSITORY_FIXTURE)
tests_unit_test_prune_stress_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_prune_stress_LDADD = $(UNIT_LIBS)
UNIT_TESTS += \
	tests/unit/test_rereads
tests_unit_test_rereads_SOURCES = tests/unit/test_rereads.c \
	$(REPOSITORY_FIXTURE)
tests_unit_test_rereads_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rereads_LDADD = $(UNIT_LIBS)
