#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every file of code, test and manual is in what "make dist" packs: one
# backslash too few in a list, and it is not.
set -u
. "${top_srcdir:-.}/tests/hygiene/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/packed.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT

{
	echo 'include Makefile'
	echo 'show-packed:'
	printf '\t@printf "%%s\\n" $(DISTFILES)\n'
} >"$work/show.mk"

missing() {
	(cd "$top_builddir" && MAKEFLAGS= MFLAGS= ${MAKE:-make} -s -f "$work/show.mk" show-packed) |
		sed "s|^$top_srcdir/||" | sort -u >"$work/packed"
	[ "$(wc -l <"$work/packed")" -gt 500 ] ||
		echo "the list of what is packed cannot be read"
	(cd "$top_srcdir" && find formats libbackup tools man tests -type f \
		\( -name '*.[ch]' -o -name '*.py' -o -name '*.t' -o \
		-name '*.sh' -o -name '*.md' -o -name '*.sql' -o \
		-name '*.tsv' -o -name '*.yml' -o -name '*.[1-8]' \)) |
		sort >"$work/there"
	comm -13 "$work/packed" "$work/there"
}

# A list whose last line but one has no backslash ends there: the rest is in no
# list, and automake does not mind.
broken_off() {
	(cd "$top_srcdir" && find . -name '*.mk' ! -path './build*' \
		-exec awk '
		/^\t/ && !rule && last !~ /\\$/ { print FILENAME ": " $0 }
		/^[^\t#]/ && !/^(if|else|endif)/ && last !~ /\\$/ { rule = /^[^=]*:([^=]|$)/ }
		{ last = $0 }' {} +)
}

check "no list is broken off" broken_off
check "every source, test and page is packed" missing
plan
