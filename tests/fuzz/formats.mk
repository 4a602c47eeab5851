# SPDX-License-Identifier: Apache-2.0
# The codecs, but for age.
FUZZ_TARGETS += \
	tests/fuzz/fuzz_checkpoint \
	tests/fuzz/fuzz_entry \
	tests/fuzz/fuzz_index \
	tests/fuzz/fuzz_pack \
	tests/fuzz/fuzz_rowhash \
	tests/fuzz/fuzz_snapshot
tests_fuzz_fuzz_checkpoint_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_entry_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_index_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_pack_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_rowhash_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_snapshot_LDADD = $(FUZZ_LIBS)
EXTRA_DIST += \
	tests/fuzz/corpus/checkpoint \
	tests/fuzz/corpus/entry \
	tests/fuzz/corpus/index \
	tests/fuzz/corpus/pack \
	tests/fuzz/corpus/rowhash \
	tests/fuzz/corpus/snapshot
FUZZ_TARGETS += tests/fuzz/fuzz_delta
tests_fuzz_fuzz_delta_LDADD = $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/delta
# archives
FUZZ_TARGETS += tests/fuzz/fuzz_archive
tests_fuzz_fuzz_archive_LDADD = $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/archive
# JSON and paths, records, pieces, error correction
FUZZ_TARGETS += tests/fuzz/fuzz_chunker tests/fuzz/fuzz_json \
	tests/fuzz/fuzz_parity tests/fuzz/fuzz_record
tests_fuzz_fuzz_chunker_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_json_LDADD = $(FUZZ_LIBS) $(JANSSON_LIBS)
tests_fuzz_fuzz_parity_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_record_LDADD = $(FUZZ_LIBS) $(JANSSON_LIBS)
EXTRA_DIST += tests/fuzz/corpus/chunker tests/fuzz/corpus/json \
	tests/fuzz/corpus/parity tests/fuzz/corpus/record
# PostgreSQL's values as JSON
FUZZ_TARGETS += tests/fuzz/fuzz_pgjson
tests_fuzz_fuzz_pgjson_LDADD = $(FUZZ_LIBS) $(JANSSON_LIBS)
EXTRA_DIST += tests/fuzz/corpus/pgjson
# Rows of COPY
FUZZ_TARGETS += tests/fuzz/fuzz_pgcopy
tests_fuzz_fuzz_pgcopy_LDADD = $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/pgcopy
FUZZ_TARGETS += tests/fuzz/fuzz_version
tests_fuzz_fuzz_version_LDADD = $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/version
