#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/s3servers.tsv is what the tests saw of S3 servers; the table of
# libbackup-s3(7) is the same.
set -u
. "${top_srcdir:-.}/tests/hygiene/lib.sh"
cd "$top_srcdir" || exit 99
table=tests/s3servers.tsv
page=man/libbackup-s3.7
words='yes|refused|error|ignored|hidden|altered'

only_words() {
	awk -F '\t' -v words="^($words)\$" '
		NF != columns && NR > 1 { print "not as long: " $0 }
		NR == 1 { columns = NF; next }
		{ for (i = 2; i <= NF; i++)
			if ($i !~ words) print $1 ": " $i }' "$table"
}

# The page's lines ".It what Ta word Ta word" as the table has them.
in_page() {
	grep -E "^\.It .* Ta ($words)\$" "$page" |
		sed 's/^\.It //; s/\\&//g; s/ Ta /	/g'
}

same() {
	seen=$(in_page)
	[ -n "$seen" ] || echo "no table in $page"
	[ "$seen" = "$(sed 1d "$table")" ] || echo "$seen" |
		diff "$table" - | grep '^[<>]' | sed 1d
}

explained() {
	echo "$words" | tr '|' '\n' | while read -r word; do
		grep -q -x "\.It Cm $word" "$page" || echo "$word"
	done
}

versions() {
	for name in versitygw s3proxy; do
		version=$(. tests/support/s3servers.sh &&
			s3servers_version "$name")
		grep -q -F -w "${version#v}" "$page" || echo "$name $version"
	done
}

check "every answer of the table is a word that means something" only_words
check "the page's table is that of the tests" same
check "the page says what the words mean" explained
check "the page names the versions that the tests install" versions
plan
