# SPDX-License-Identifier: Apache-2.0
# What is in packages and schedules.
#
# Packages for Debian: built, looked over, installed on a fresh system, used and
# purged. Needs root, and is no part of "make check". The folder debian/ is not
# packed: a distribution brings its own.
dist_check_SCRIPTS += tests/packaging/debian
dist_check_SCRIPTS += tests/packaging/units.t
TESTS += tests/packaging/units.t
EXTRA_DIST += tests/packaging/system.sh

check-debian:
	$(top_srcdir)/tests/packaging/debian .
.PHONY: check-debian
