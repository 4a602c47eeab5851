# SPDX-License-Identifier: Apache-2.0
# Rules of the house that a script can see.
HYGIENE_TESTS = \
	tests/hygiene/exports.t \
	tests/hygiene/findings.t \
	tests/hygiene/headers.t \
	tests/hygiene/includes.t \
	tests/hygiene/packed.t \
	tests/hygiene/pages.t \
	tests/hygiene/pitfalls.t \
	tests/hygiene/s3servers.t \
	tests/hygiene/usage.t \
	tests/hygiene/words.t
dist_check_SCRIPTS += $(HYGIENE_TESTS)
EXTRA_DIST += tests/hygiene/lib.sh tests/pitfalls.tsv \
	tests/s3servers.tsv
TESTS += $(HYGIENE_TESTS)
