#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/pitfalls.tsv: each way in which backups of PostgreSQL are known to go
# wrong has a test, or a sentence in a page. A line is a number, what happens,
# and where it is seen to: FILE::TEST, a page and words of it, or "open: why".
set -u
. "${top_srcdir:-.}/tests/hygiene/lib.sh"
cd "$top_srcdir" || exit 99
table=tests/pitfalls.tsv

all_numbers() {
	cut -f 1 "$table" | uniq | awk '$1 != NR { print "not in order: " $1 }
		END { if (NR != 45) print "so many: " NR }'
	awk -F '\t' 'NF != 3 { print "no three columns: " $0 }' "$table"
}

# has_test FILE::NAME
has_test() {
	name=${1#*::}
	case $1 in
	*.py::*) grep -q "^def $name(" "tests/integration/${1%%::*}" ;;
	*.c::*) grep -q "cmocka_unit_test.*[(, ]$name\|^	*${name}[,)]" \
		"tests/unit/${1%%::*}" ;;
	*) false ;;
	esac
}

evidence() {
	cut -f 3 "$table" | while IFS= read -r where; do
		case $where in
		man/*) grep -q -x -F -e "${where#*: }" "${where%%: *}" ;;
		"open: "*) ;;
		*) has_test "$where" ;;
		esac || echo "$where"
	done
}

# What is open has a test or a sentence all the same.
only_open() {
	cut -f 1 "$table" | sort -n | uniq | while read -r number; do
		awk -F '\t' -v n="$number" '$1 == n && $3 !~ /^open: / { found = 1 }
			END { if (!found) print "nothing but open: " n }' "$table"
	done
}

check "every pitfall is there, in order" all_numbers
check "every test and sentence that is named is there" evidence
check "none is only open" only_open
awk -F '\t' '$3 ~ /^open: / { print "# " $1 ": " $3 }' "$table"
plan
