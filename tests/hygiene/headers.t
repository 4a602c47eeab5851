#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each public header compiles alone, as C11, C17 and C++, and all of them
# declare exactly what the symbol list exports.
set -u
. "${top_srcdir:-.}/tests/hygiene/lib.sh"
CC=${CC:-cc}
CXX=${CXX:-c++}
work=$(mktemp -d "${TMPDIR:-/tmp}/headers.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT

# compiles HEADER COMPILER...
compiles() {
	header=$1
	shift
	printf '#include <%s>\nint is_not_empty;\n' "$header" >"$work/alone.c"
	cp "$work/alone.c" "$work/alone.cc"
	"$@" -pedantic -Wall -Wextra -Werror -fsyntax-only \
		-I"$top_srcdir" || echo "status $?"
}

symbols_differ() {
	cat "$top_srcdir"/libbackup/*.h | grep -v '^#define' | tr '\n' ' ' |
		grep -o -E 'BKP_API [^;(]*\(' |
		sed -E 's/.*[ *]([a-z_0-9]+)\($/\1/' | sort >"$work/declared"
	grep -o -E '^	bkp_[a-z_0-9]+;' "$top_srcdir/libbackup/libbackup.sym" |
		tr -d '\t;' | sort >"$work/listed"
	[ -s "$work/listed" ] || echo "no symbol was found"
	diff "$work/declared" "$work/listed" | grep '^[<>]'
}

for file in "$top_srcdir"/libbackup/*.h; do
	name=libbackup/$(basename "$file")
	# shellcheck disable=SC2086 # CC may be a compiler and its options
	{
		check "$name compiles alone as C11" compiles "$name" \
			$CC -std=c11 -Wstrict-prototypes "$work/alone.c"
		check "$name compiles alone as C17" compiles "$name" \
			$CC -std=c17 -Wstrict-prototypes "$work/alone.c"
		check "$name compiles alone as C++" compiles "$name" \
			$CXX -std=c++11 "$work/alone.cc"
	}
done
check "the headers (<) declare what the symbol list (>) has" symbols_differ
plan
