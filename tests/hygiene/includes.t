#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# No room includes one above it.
set -u
. "${top_srcdir:-.}/tests/hygiene/lib.sh"
cd "$top_srcdir" || exit 99

# includes FOLDER: "file:include" of every include of the project's own.
includes() {
	find "$1" -name '*.[ch]' -exec grep -H -E \
		'^#[[:space:]]*include[[:space:]]+("|<libbackup/)' {} + |
		sed -E 's/:#[^"<]*["<]([^">]*)[">].*/:\1/'
}

# only FOLDER PATTERN, never FOLDER PATTERN: includes that break the rule.
only() {
	includes "$1" >"$list"
	[ -s "$list" ] || echo "no include was found in $1"
	grep -v -E ":($2)" "$list"
}

never() {
	includes "$1" | grep -E ":libbackup/($2)/"
}

list=$(mktemp "${TMPDIR:-/tmp}/includes.XXXXXX") || exit 99
trap 'rm -f "$list"' EXIT
check "formats includes formats only" only formats 'formats/'
check "libbackup includes libbackup and formats only" \
	only libbackup '(libbackup|formats)/'
check "base includes no room above it" \
	only libbackup/base 'formats/|libbackup/base/|libbackup/[a-z]+\.h'
check "store includes no room above it" \
	never libbackup/store 'repository|postgres|source|operations'
check "repository includes no room above it" \
	never libbackup/repository 'postgres|source|operations'
check "s3 includes no room above it" \
	never libbackup/s3 'repository|postgres|source|operations'
check "postgres includes no room above it" \
	never libbackup/postgres 's3|operations'
check "tools include public headers only" \
	only tools 'tools/|libbackup/[a-z]+\.h'
plan
