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

# How large the backups of many nights become; fails where that is more than
# restic makes of them, or than half of files of pg_dump -Fc, or where a prune
# gives little back:
#     make bench-size BENCH_SCALE=1 BENCH_NIGHTS=30 BENCH_ANYWHERE=0.2
BENCH_NIGHTS = 30
BENCH_ANYWHERE = 0.2
EXTRA_DIST += tests/bench/size.py

bench-size: all
	$(srcdir)/tests/support/python.sh $(srcdir)/tests/bench/size.py \
		--tools tools --scale $(BENCH_SCALE) \
		--nights $(BENCH_NIGHTS) --anywhere $(BENCH_ANYWHERE)
.PHONY: bench-size

# Entry lists alone: make tests/bench/entry_bench
EXTRA_PROGRAMS += tests/bench/entry_bench
tests_bench_entry_bench_LDADD = formats/libformats.la
CLEANFILES += tests/bench/entry_bench

# The index alone, on a machine that does nothing else; fails where it takes
# more than a second to open, or more than 256 MiB:
#     make bench-index BENCH_CHUNKS=10000000
BENCH_CHUNKS = 10000000
EXTRA_PROGRAMS += tests/bench/index_bench
tests_bench_index_bench_LDADD = libbackup/libbackup-internal.la
CLEANFILES += tests/bench/index_bench

bench-index: tests/bench/index_bench
	rm -rf tests/bench/index
	tests/bench/index_bench tests/bench/index $(BENCH_CHUNKS) 131072 1 256; \
		status=$$?; rm -rf tests/bench/index; exit $$status
.PHONY: bench-index

# One person's rows and objects, beside SQL and curl by hand; ten million rows
# are 2 GB; it fails where ours takes more than 256 MiB, or more than
# BENCH_AT_MOST times as long (0: however long):
#     make bench-export BENCH_ROWS=50000000
#     make bench-export BENCH_ROWS=100000 BENCH_LARGE=5000000 BENCH_FILES=0
BENCH_ROWS = 5000000
BENCH_LARGE = 0
BENCH_FILES = 50
BENCH_AT_MOST = 1.5
EXTRA_DIST += tests/bench/export.py

bench-export: all
	$(srcdir)/tests/support/python.sh $(srcdir)/tests/bench/export.py \
		--tools tools --rows $(BENCH_ROWS) --large $(BENCH_LARGE) \
		--files $(BENCH_FILES) --at-most $(BENCH_AT_MOST)
.PHONY: bench-export

# The rows of a database, beside what backs it up today and beside nothing at
# all; 1 is 1.2 GB and pgbench at scale 100, of which a round takes two minutes:
#     make bench-rows BENCH_ROWS_SCALE=1 BENCH_ROUNDS=5
BENCH_ROWS_SCALE = 0.1
EXTRA_PROGRAMS += tests/bench/drain
tests_bench_drain_LDADD = $(DEPS_LIBS)
CLEANFILES += tests/bench/drain
EXTRA_DIST += tests/bench/rows.py tests/bench/rows_data.py

bench-rows: all tests/bench/drain
	$(srcdir)/tests/support/python.sh $(srcdir)/tests/bench/rows.py \
		--tools tools --drain tests/bench/drain \
		--scale $(BENCH_ROWS_SCALE) --rounds $(BENCH_ROUNDS)
.PHONY: bench-rows

# The other way round: back into a database, with pg_restore and pgcopydb:
#     make bench-restores BENCH_ROWS_SCALE=1 BENCH_ROUNDS=5
EXTRA_DIST += tests/bench/restores.py

bench-restores: all
	$(srcdir)/tests/support/python.sh $(srcdir)/tests/bench/restores.py \
		--tools tools --scale $(BENCH_ROWS_SCALE) \
		--rounds $(BENCH_ROUNDS)
.PHONY: bench-restores

# Buckets of many small and some large objects, beside mc and rclone; 1 is
# 10,000 of 10 KiB and 200 of 8 MiB, 1.7 GB:
#     make bench-objects BENCH_OBJECTS_SCALE=1 BENCH_ROUNDS=3
#     make bench-objects BENCH_OBJECTS_AT_MOST=1
BENCH_OBJECTS_SCALE = 0.1
BENCH_OBJECTS_AT_MOST = 0
EXTRA_DIST += tests/bench/objects.py

bench-objects: all
	$(srcdir)/tests/bench/run --script objects.py --tools tools \
		--scale $(BENCH_OBJECTS_SCALE) --rounds $(BENCH_ROUNDS) \
		--at-most $(BENCH_OBJECTS_AT_MOST)
.PHONY: bench-objects

# What proving a backup costs, beside restoring it; fails where that is more
# than BENCH_VERIFY_AT_MOST times as much of the processor:
#     make bench-verify BENCH_ROWS_SCALE=1 BENCH_ROUNDS=3
BENCH_VERIFY_AT_MOST = 1.3
EXTRA_DIST += tests/bench/verify.py

bench-verify: all
	$(srcdir)/tests/support/python.sh $(srcdir)/tests/bench/verify.py \
		--tools tools --scale $(BENCH_ROWS_SCALE) \
		--rounds $(BENCH_ROUNDS) --at-most $(BENCH_VERIFY_AT_MOST)
.PHONY: bench-verify
