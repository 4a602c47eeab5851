# SPDX-License-Identifier: Apache-2.0
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) \
	$(top_srcdir)/build-aux/tap-driver.sh
TEST_EXTENSIONS = .t
T_LOG_DRIVER = $(LOG_DRIVER)
T_LOG_COMPILER = $(SHELL)
AM_TESTS_ENVIRONMENT = \
	CC='$(CC)'; export CC; \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	BACKUP_CACHE_DIR='$(abs_top_builddir)/tests/cache'; \
	export BACKUP_CACHE_DIR; \
	BACKUP_STATE_DIR='$(abs_top_builddir)/tests/state'; \
	export BACKUP_STATE_DIR;

# Where the commands under test keep what belongs to this machine.
clean-local:
	rm -rf tests/cache tests/state tests/night
.PHONY: clean-local

# What a night has time for: a thousand commands that are killed, backups and
# prunes against each other for longer, every object damaged in every way, tables
# and values beyond the usual, more of the model, the container's root file system, and
# the fuzzers, in a build of their own:
#     make night NIGHT_SECONDS=3600
NIGHT_KILLS = 1000
NIGHT_SECONDS = 600
NIGHT_TESTS = tests/unit/test_prune_stress tests/unit/test_check_damage \
	tests/model/prune.t
if INTEGRATION_TESTS
NIGHT_TESTS += tests/integration/run-odd
endif

night:
	$(MAKE) -k night-tests check-container night-fuzz
night-tests: all
	BACKUP_TEST_ALL=1 BACKUP_TEST_KILLS=$(NIGHT_KILLS) \
		BACKUP_TEST_ONLY="test_killed.py test_sizes.py" \
		PRUNE_STRESS_SECONDS=$(NIGHT_SECONDS) \
		MODEL_SECONDS=$(NIGHT_SECONDS) \
		$(MAKE) check TESTS='$(NIGHT_TESTS)'
night-fuzz:
	$(MKDIR_P) tests/night
	cd tests/night && { test -f Makefile || $(abs_top_srcdir)/configure -q \
		CC=clang CFLAGS='-O1 -g' --enable-fuzzers \
		--enable-sanitizers; } && \
		$(MAKE) fuzz FUZZ_SECONDS=$(NIGHT_SECONDS)
.PHONY: night night-tests night-fuzz

include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/support/local.mk
include tests/demo/local.mk
include tests/integration/local.mk
include tests/bench/local.mk
include tests/tools/local.mk
include tests/hygiene/local.mk
include tests/model/local.mk
include tests/packaging/local.mk
include tests/examples/local.mk
