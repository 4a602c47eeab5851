# SPDX-License-Identifier: Apache-2.0
# The codecs, but for age.
UNIT_TESTS += \
	tests/unit/test_chunker \
	tests/unit/test_entry \
	tests/unit/test_entry_refused \
	tests/unit/test_path \
	tests/unit/test_format_nomem \
	tests/unit/test_index \
	tests/unit/test_pack \
	tests/unit/test_rowhash \
	tests/unit/test_sign \
	tests/unit/test_snapshot
tests_unit_test_chunker_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_chunker_LDADD = $(UNIT_LIBS)
ENTRY_FIXTURE = tests/unit/entry_fixture.c tests/unit/entry_fixture.h
tests_unit_test_entry_SOURCES = tests/unit/test_entry.c $(ENTRY_FIXTURE)
tests_unit_test_entry_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_entry_LDADD = $(UNIT_LIBS)
tests_unit_test_entry_refused_SOURCES = tests/unit/test_entry_refused.c \
	$(ENTRY_FIXTURE)
tests_unit_test_entry_refused_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_entry_refused_LDADD = $(UNIT_LIBS)
tests_unit_test_path_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_path_LDADD = $(UNIT_LIBS)
tests_unit_test_index_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_index_LDADD = $(UNIT_LIBS)
tests_unit_test_pack_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_pack_LDADD = $(UNIT_LIBS)
tests_unit_test_rowhash_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rowhash_LDADD = $(UNIT_LIBS)
tests_unit_test_sign_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_sign_LDADD = $(UNIT_LIBS)
tests_unit_test_snapshot_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_snapshot_LDADD = $(UNIT_LIBS)
tests_unit_test_format_nomem_SOURCES = \
	tests/unit/test_format_nomem.c $(FAILING_ALLOC)
tests_unit_test_format_nomem_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_format_nomem_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_format_nomem_LDADD = $(UNIT_LIBS)
# Checkpoints.
UNIT_TESTS += tests/unit/test_checkpoint
tests_unit_test_checkpoint_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_checkpoint_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/unit/test_delta
tests_unit_test_delta_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_delta_LDADD = $(UNIT_LIBS)
# Proofs.
UNIT_TESTS += tests/unit/test_proof_record
tests_unit_test_proof_record_SOURCES = tests/unit/test_proof_record.c \
	$(FAILING_ALLOC)
tests_unit_test_proof_record_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_proof_record_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_proof_record_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/unit/test_erasure_record
tests_unit_test_erasure_record_SOURCES = tests/unit/test_erasure_record.c \
	$(FAILING_ALLOC)
tests_unit_test_erasure_record_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_erasure_record_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_erasure_record_LDADD = $(UNIT_LIBS)
# archives
UNIT_TESTS += tests/unit/test_archive_format tests/unit/test_archive_hostile
tests_unit_test_archive_hostile_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_archive_hostile_LDADD = $(UNIT_LIBS)
tests_unit_test_archive_format_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_archive_format_LDADD = $(UNIT_LIBS)
# error correction
if HAVE_ISAL
UNIT_TESTS += tests/unit/test_parity tests/unit/test_parity_repair \
	tests/unit/test_store_parity
endif
tests_unit_test_parity_SOURCES = tests/unit/test_parity.c
tests_unit_test_parity_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_parity_LDADD = $(UNIT_LIBS)
tests_unit_test_parity_repair_SOURCES = tests/unit/test_parity_repair.c \
	tests/unit/store_conformance.c tests/unit/store_conformance.h
tests_unit_test_parity_repair_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_parity_repair_LDADD = $(UNIT_LIBS)
tests_unit_test_store_parity_SOURCES = tests/unit/test_store_parity.c \
	tests/unit/store_conformance.c tests/unit/store_conformance.h
tests_unit_test_store_parity_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_store_parity_LDADD = $(UNIT_LIBS)
# Who is at work, what may go.
UNIT_TESTS += tests/unit/test_stated
tests_unit_test_stated_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_stated_LDADD = $(UNIT_LIBS)
# PostgreSQL's values as JSON
UNIT_TESTS += tests/unit/test_pgjson
tests_unit_test_pgjson_SOURCES = tests/unit/test_pgjson.c $(FAILING_ALLOC)
tests_unit_test_pgjson_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_pgjson_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_pgjson_LDADD = $(UNIT_LIBS)
# Rows of COPY, and differences of those in the binary form.
UNIT_TESTS += tests/unit/test_pgcopy tests/unit/test_delta_binary
tests_unit_test_pgcopy_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_pgcopy_LDADD = $(UNIT_LIBS)
tests_unit_test_delta_binary_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_delta_binary_LDADD = $(UNIT_LIBS)
# Backups that several processes make.
UNIT_TESTS += tests/unit/test_share_record tests/unit/test_share_deal
tests_unit_test_share_record_SOURCES = tests/unit/test_share_record.c \
	$(FAILING_ALLOC)
tests_unit_test_share_record_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_share_record_LDFLAGS = $(WRAP_ALLOC_FLAGS)
tests_unit_test_share_record_LDADD = $(UNIT_LIBS)
tests_unit_test_share_deal_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_share_deal_LDADD = $(UNIT_LIBS)
