# SPDX-License-Identifier: Apache-2.0
# What is in packages and schedules.
#
# Packages for Debian: built, looked over, installed on a fresh system, used and
# purged. Needs root, and is no part of "make check". The folder debian/ is not
# packed: a distribution brings its own.
dist_check_SCRIPTS += tests/packaging/container tests/packaging/debian
PACKAGING_TESTS = \
	tests/packaging/container.t \
	tests/packaging/manifests.t \
	tests/packaging/units.t
dist_check_SCRIPTS += $(PACKAGING_TESTS)
EXTRA_DIST += tests/packaging/manifests.py
TESTS += $(PACKAGING_TESTS)
EXTRA_DIST += tests/packaging/system.sh

check-debian:
	$(top_srcdir)/tests/packaging/debian .
# The container's root file system, made without an engine, and used.
check-container:
	$(top_srcdir)/tests/packaging/container .
.PHONY: check-debian check-container
