# SPDX-License-Identifier: Apache-2.0
# One target a codec: tests/fuzz/fuzz_<codec>.c defines LLVMFuzzerTestOneInput.
# An ordinary build links it with a main that replays corpus/<codec>, and `make
# check` runs that; --enable-fuzzers links it with libFuzzer instead
# (configure CC=clang --enable-fuzzers --enable-sanitizers; make check TESTS=):
#	make fuzz FUZZ_SECONDS=600
# runs them in turn; what they find worth keeping grows in FUZZ_WORK, and an
# input that made one fail lies there as well.
# An input that made a target fail goes into the corpus and stays there.
FUZZ_TARGETS =
check_LTLIBRARIES =

if ENABLE_FUZZERS
FUZZ_MAIN = @FUZZ_ENGINE@
else
check_LTLIBRARIES += tests/fuzz/libreplay.la
tests_fuzz_libreplay_la_SOURCES = tests/fuzz/replay_main.c
FUZZ_MAIN = tests/fuzz/libreplay.la
endif
EXTRA_DIST += tests/fuzz/replay_main.c
FUZZ_LIBS = $(FUZZ_MAIN) formats/libformats.la

# A new target takes these three lines and a folder of small inputs.
FUZZ_TARGETS += tests/fuzz/fuzz_age
tests_fuzz_fuzz_age_LDADD = $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/age

include tests/fuzz/formats.mk
FUZZ_TARGETS += tests/fuzz/fuzz_config
tests_fuzz_fuzz_config_LDADD = $(FUZZ_MAIN) libbackup/libbackup-internal.la
EXTRA_DIST += tests/fuzz/corpus/config
FUZZ_TARGETS += tests/fuzz/fuzz_keys
tests_fuzz_fuzz_keys_LDADD = $(FUZZ_MAIN) libbackup/libbackup-internal.la
EXTRA_DIST += tests/fuzz/corpus/keys
FUZZ_TARGETS += tests/fuzz/fuzz_export
tests_fuzz_fuzz_export_LDADD = $(FUZZ_MAIN) libbackup/libbackup-internal.la
EXTRA_DIST += tests/fuzz/corpus/export
FUZZ_TARGETS += tests/fuzz/fuzz_map
tests_fuzz_fuzz_map_LDADD = $(FUZZ_MAIN) libbackup/libbackup-internal.la
EXTRA_DIST += tests/fuzz/corpus/map
# sheets, dumps, answers of servers, short texts
FUZZ_TARGETS += tests/fuzz/fuzz_s3 tests/fuzz/fuzz_sheet \
	tests/fuzz/fuzz_sql tests/fuzz/fuzz_words
tests_fuzz_fuzz_s3_LDADD = $(FUZZ_MAIN) libbackup/libbackup-internal.la
tests_fuzz_fuzz_s3_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=bkp_s3_try
tests_fuzz_fuzz_sheet_LDADD = $(FUZZ_MAIN) libbackup/libbackup-internal.la
tests_fuzz_fuzz_sql_LDADD = $(FUZZ_MAIN) libbackup/libbackup-internal.la
tests_fuzz_fuzz_words_LDADD = $(FUZZ_MAIN) libbackup/libbackup-internal.la
EXTRA_DIST += tests/fuzz/fuzz.h \
	tests/fuzz/corpus/s3 tests/fuzz/corpus/sheet \
	tests/fuzz/corpus/sql tests/fuzz/corpus/words

# lists and scripts of pg_restore
FUZZ_TARGETS += tests/fuzz/fuzz_toc
tests_fuzz_fuzz_toc_LDADD = $(FUZZ_MAIN) libbackup/libbackup-internal.la
EXTRA_DIST += tests/fuzz/corpus/toc

check_PROGRAMS += $(FUZZ_TARGETS)
if !ENABLE_FUZZERS
TESTS += $(FUZZ_TARGETS)
endif

FUZZ_SECONDS = 60
FUZZ_WORK = tests/fuzz/work

fuzz: $(FUZZ_TARGETS)
if ENABLE_FUZZERS
	@set -e; for target in $(FUZZ_TARGETS); do \
		name=`basename $$target | sed 's/^fuzz_//'`; \
		mkdir -p $(FUZZ_WORK)/$$name; \
		echo "== $$name"; \
		./$$target -max_total_time=$(FUZZ_SECONDS) -timeout=20 \
			-rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix=$(FUZZ_WORK)/$$name- \
			$(FUZZ_WORK)/$$name $(srcdir)/tests/fuzz/corpus/$$name; \
	done
else
	@echo "this build has no fuzzers; configure it with CC=clang" \
		"--enable-fuzzers --enable-sanitizers" >&2; exit 1
endif
.PHONY: fuzz
