#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Whatever a check can find stands in its page.
set -u
. "${top_srcdir:-.}/tests/hygiene/lib.sh"
cd "$top_srcdir" || exit 99

# Kinds have a hyphen, or come right after how bad they are.
kinds() {
	grep -h -o -E '"[a-z]+(-[a-z]+)+"' libbackup/repository/check*.c \
		libbackup/repository/key_check.c
	sed -n '/^bkp_history_kind_name/,/^}/p' libbackup/repository/history.c |
		grep -o -E '"[a-z-]+"'
	cat libbackup/repository/check*.c libbackup/operations/check.c |
		tr -s '\n\t ' '   ' |
		grep -o -E 'BKP_FINDING_(NOTE|WARNING|DAMAGE), "[a-z-]+"' |
		grep -o -E '"[a-z-]+"'
}

unknown() {
	names=$(kinds | tr -d '"' | sort -u)
	[ "$(echo "$names" | wc -l)" -gt 30 ] || echo "few kinds: $names"
	page=$(sed -n '/^\.Sh FINDINGS/,/^\.Sh REPAIR/p' man/backup-check.1 |
		grep -E '^\.(It )?Cm ' | tr ' ' '\n')
	for name in $names; do
		echo "$page" | grep -q -x -e "$name" || echo "$name"
	done
}

check "every kind of finding is in backup-check(1)" unknown

doctored() {
	names=$(grep -h -o -E '\{"[a-z-]+", [a-z_]+, BKP_EXAM' \
		libbackup/doctor/*.c | cut -d '"' -f 2)
	[ "$(echo "$names" | wc -l)" -gt 50 ] || echo "few checks: $names"
	page=$(sed -n '/^\.Sh FINDINGS/,/^\.Sh EVENTS/p' man/backup-doctor.1 |
		grep '^\.It Cm ' | tr ' ' '\n')
	for name in $names; do
		echo "$page" | grep -q -x -e "$name" || echo "$name"
	done
}

check "every finding of the doctor is in backup-doctor(1)" doctored
plan
