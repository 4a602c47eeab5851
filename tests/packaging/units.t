#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The units say what systemd understands, and give away no more than they did;
# the lines for cron are lines of cron.
set -u
. "${top_srcdir:-.}/tests/hygiene/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/units.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT

# The units with programs that are there: systemd looks for them.
unpack() {
	mkdir "$work/bin"
	for name in backup-run backup-verify; do
		printf '#!/bin/sh\n' >"$work/bin/$name"
		chmod +x "$work/bin/$name"
	done
	cp "$top_srcdir"/tools/systemd/*.timer "$work"
	for unit in "$top_builddir"/tools/systemd/*.service; do
		sed "s|^ExecStart=.*/\(backup-[a-z]*\)|ExecStart=$work/bin/\1|" \
			"$unit" >"$work/$(basename "$unit")"
	done
}

verified() {
	systemd-analyze verify --man=no --recursive-errors=no "$@" 2>&1 ||
		echo "status $?"
}

is_noticed() {
	sed 's/^NoNewPrivileges=/NoMorePrivileges=/' \
		"$work/libbackup@.service" >"$work/wrong@.service"
	verified "$work/wrong@.service" | grep -q NoMorePrivileges ||
		echo "a directive that does not exist was not noticed"
}

# exposed FILE: 3.0 is what systemd 252 says of them.
exposed() {
	systemd-analyze security --offline=true --no-pager --threshold=30 \
		"$1" >"$work/security" 2>&1 || cat "$work/security"
	grep -q 'Overall exposure level' "$work/security" || cat "$work/security"
}

# Of each job alone, so that two do not share what they keep.
in_place() {
	for unit in "$top_builddir"/tools/systemd/*.service; do
		grep -q '^ExecStart=/.*/backup-' "$unit" ||
			echo "$unit: no absolute program"
		grep -n '@[a-z]*dir@' "$unit"
	done
}

cron_lines() {
	page=$top_srcdir/man/libbackup-schedule.7
	sed -n '/^\.\\" crontab$/,/^\.Ed/p' "$page" |
		grep -v '^\.' >"$work/crontab"
	[ "$(grep -c backup-run "$work/crontab")" -ge 1 ] ||
		echo "there is no line in $page"
	crontab -n "$work/crontab" >"$work/said" 2>&1 || cat "$work/said"
	sed 's/^\([^ ]*\) [^ ]* /\1 25 /' "$work/crontab" >"$work/wrong"
	! crontab -n "$work/wrong" >/dev/null 2>&1 ||
		echo "an hour that does not exist was not noticed"
}

unpack
for name in libbackup@.service libbackup@.timer libbackup-verify@.service \
	libbackup-verify@.timer; do
	check "systemd understands $name" verified "$work/$name"
done
check "it would not understand others" is_noticed
check "the backup's service is closed" exposed "$work/libbackup@.service"
check "the proof's service is closed" exposed "$work/libbackup-verify@.service"
check "the services name programs where they are installed" in_place
check "the manual page's crontab is one" cron_lines
plan
