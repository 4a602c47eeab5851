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
	rm -rf tests/cache tests/state
.PHONY: clean-local

include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/support/local.mk
include tests/demo/local.mk
include tests/integration/local.mk
include tests/bench/local.mk
include tests/tools/local.mk
include tests/hygiene/local.mk
include tests/model/local.mk
include tests/examples/local.mk
