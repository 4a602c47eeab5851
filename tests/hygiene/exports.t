#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The shared library exports what its symbol list says, all of it, and no more.
set -u
. "${top_srcdir:-.}/tests/hygiene/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/exports.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT

# Compilers and sanitizers add names of their own, which begin with "_".
differ() {
	grep -o -E '^	bkp_[a-z_0-9]+;' "$top_srcdir/libbackup/libbackup.sym" |
		tr -d '\t;' | sort >"$work/listed"
	nm -D --defined-only "$top_builddir/libbackup/.libs/libbackup.so" |
		sed -E 's/.* //; s/@.*//' | grep -v -E '^(_|LIBBACKUP_)' |
		sort >"$work/exported"
	[ -s "$work/exported" ] || echo "no symbol was found"
	diff "$work/listed" "$work/exported" | grep '^[<>]'
}

unpaged() {
	[ -s "$work/listed" ] || echo "no symbol was found"
	while read -r name; do
		grep -q -E "^\.(Fn|Fo) $name( |\$)" "$top_srcdir/man/libbackup.3" ||
			echo "$name"
	done <"$work/listed"
}

check "the symbol list (<) is what the library (>) exports" differ
check "libbackup(3) has each of them" unpaged
plan
