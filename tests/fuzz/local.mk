# SPDX-License-Identifier: Apache-2.0
# One target a codec: tests/fuzz/fuzz_<codec>.c defines LLVMFuzzerTestOneInput.
# An ordinary build links it with a main that replays corpus/<codec>, and `make
# check` runs that; --enable-fuzzers links it with libFuzzer instead
# (configure CC=clang --enable-fuzzers --enable-sanitizers; make check TESTS=):
#	./tests/fuzz/fuzz_age -max_total_time=600 work/ $(top_srcdir)/tests/fuzz/corpus/age
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

check_PROGRAMS += $(FUZZ_TARGETS)
if !ENABLE_FUZZERS
TESTS += $(FUZZ_TARGETS)
endif
