#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Help, manual pages and shell completion name the same options.
set -u
. "${top_srcdir:-.}/tests/hygiene/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/usage.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT

# differ A B: the lines that only one of them has.
differ() {
	[ -s "$1" ] || echo "no option was found"
	diff "$1" "$2" | grep '^[<>]'
}

missing_sections() {
	for section in NAME SYNOPSIS DESCRIPTION 'EXIT STATUS' ENVIRONMENT \
		FILES EXAMPLES 'SEE ALSO'; do
		grep -q "^\.Sh $section\$" "$1" || echo "no $section"
	done
}

for name in archive cat check create doctor guard import init key list prune restore run verify; do
	tool=backup-$name
	page=$top_srcdir/man/$tool.1
	"$top_builddir/tests/tools/fake-$tool" --help >"$work/help"
	sed -n -E '/^Options:/,/^$/ s/^  (-(.),|   ) --([a-z-]+).*/\2 \3/p' \
		"$work/help" | sort >"$work/of-help"
	sed -n -E 's/^\.It (Fl (.) ?.*, )?Fl -([a-z-]+).*/\2 \3/p' "$page" |
		sort >"$work/of-page"
	sed -E 's/^.? //' "$work/of-help" | sort >"$work/longs"
	sed -n -E "s/^	$tool\) options='([^']*)'.*/\1/p" \
		"$top_srcdir/tools/completion/libbackup.bash" | tr ' ' '\n' |
		sed 's/^--//' | sort >"$work/of-completion"
	check "$tool: help (<) and manual page (>) agree" \
		differ "$work/of-help" "$work/of-page"
	check "$tool: help (<) and completion (>) agree" \
		differ "$work/longs" "$work/of-completion"
	check "$tool: the manual page has every section" \
		missing_sections "$page"
done
plan
