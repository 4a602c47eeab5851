#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Manual pages are written as mandoc would have it, and name only pages that
# there are.
set -u
. "${top_srcdir:-.}/tests/hygiene/lib.sh"
cd "$top_srcdir" || exit 99

warned() {
	[ "$(find man -name '*.[1-8]' | wc -l)" -gt 10 ] ||
		echo "there are hardly any pages"
	for page in man/*.[1-8]; do
		mandoc -T lint -W warning "$page"
	done
	printf '.Dd today\n.Dt X 1\n.Os\n.Sh NAME\n.Bl\n' |
		mandoc -T lint -W warning >/dev/null 2>&1 &&
		echo "mandoc warns of nothing"
}

# Pages of this project that others refer to.
missing() {
	grep -h -o -E '^\.Xr (backup[-.][a-z-]+|libbackup[a-z-]*) [1-8]' \
		man/*.[1-8] | sort -u | while read -r _ name section; do
		[ -f "man/$name.$section" ] || echo "$name($section)"
	done
	grep -o -E '`(backup-[a-z]+|backup\.yaml|libbackup[a-z-]*)\([1-8]\)`' \
		README.md | tr -d '`()' | sed -E 's/(.)$/ \1/' |
		sort -u | while read -r name section; do
		[ -f "man/$name.$section" ] || echo "README.md: $name($section)"
	done
}

check "mandoc finds nothing to warn of" warned
check "every page that is referred to is there" missing
plan
