# SPDX-License-Identifier: Apache-2.0
# Measures; tests nothing, so it is no part of "make check".
#     make bench BENCH_SCALE=10 BENCH_ROUNDS=5
BENCH_SCALE = 1
BENCH_ROUNDS = 3
BENCH_OBJECTS = 10000

EXTRA_DIST += tests/bench/bench.py tests/bench/run

bench: all
	$(srcdir)/tests/bench/run --tools tools --scale $(BENCH_SCALE) \
		--rounds $(BENCH_ROUNDS) --objects $(BENCH_OBJECTS)
.PHONY: bench

# Entry lists alone: make tests/bench/entry_bench
EXTRA_PROGRAMS += tests/bench/entry_bench
tests_bench_entry_bench_LDADD = formats/libformats.la
CLEANFILES += tests/bench/entry_bench
