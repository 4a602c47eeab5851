#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a container runs, over a scheduler that runs every line at once and jobs
# that end as they are told: see also "make check-container".
set -u
. "${top_srcdir:-.}/tests/hygiene/lib.sh"
container=$top_srcdir/tools/container
work=$(mktemp -d "${TMPDIR:-/tmp}/container.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/state"
BACKUP_RUN_DIR=$work/run
BACKUP_STATE_DIR=$work/state
PATH=$work/bin:$PATH
export BACKUP_RUN_DIR BACKUP_STATE_DIR PATH

cat >"$work/bin/supercronic" <<'SH'
#!/bin/sh
# Each job once, then idle until told to end; as the real one it ends when its
# jobs have ended.
for last; do :; done
trap 'wait $jobs; exit 0' TERM
while read -r m h d mo w command; do
	sh -c "$command" &
	jobs="${jobs:-} $!"
done <"$last"
while :; do sleep 0.1; done
SH
cat >"$work/bin/backup-run" <<'SH'
#!/bin/sh
echo "$1" >>"$BACKUP_RUN_DIR/ran"
case $1 in
good) exit 0 ;;
bad) exit 3 ;;
long)
	trap 'echo asked >"$BACKUP_RUN_DIR/asked"; exit 1' TERM
	echo $$ >"$BACKUP_RUN_DIR/long"
	while :; do sleep 0.1; done
	;;
esac
SH
chmod +x "$work"/bin/*

# until COMMAND...: within a minute.
until_true() {
	turns=0
	until "$@"; do
		turns=$((turns + 1))
		[ "$turns" -lt 600 ] || return 1
		sleep 0.1
	done
}

# with JOBS ENDED: starts the schedule, and goes on when so many have ended.
start() {
	rm -rf "$work/run" "$work/state"
	mkdir "$work/state"
	# In a session of its own, which can be ended as a whole.
	BACKUP_JOBS=$1 setsid "$container/entrypoint" schedule \
		>"$work/out" 2>&1 </dev/null &
	entrypoint=$!
	until_true have_ended "$2" || echo "no job ended: $(cat "$work/out")"
}

have_ended() {
	[ "$(find "$BACKUP_STATE_DIR" -name '*.ended' | wc -l)" -ge "$1" ]
}

has_gone() {
	! kill -0 "$entrypoint" 2>/dev/null
}

stop() {
	kill -TERM "$entrypoint"
	if ! until_true has_gone; then
		echo "the schedule does not end"
		kill -KILL -- "-$entrypoint"
	fi
	wait "$entrypoint" || echo "the schedule ended with $?"
}

# health STATUS TEXT
health() {
	"$container/healthy" >"$work/said"
	status=$?
	[ "$status" -eq "$1" ] && grep -q "$2" "$work/said" ||
		echo "status $status: $(cat "$work/said")"
}

scripts_are_clean() {
	shellcheck "$container/install.sh" "$container/entrypoint" \
		"$container/run-job" "$container/healthy" \
		"$container/first-time"
}

before_the_first() {
	rm -rf "$BACKUP_RUN_DIR"
	health 1 'no schedule was started'
}

all_well() {
	start '30 1 * * * good' 1
	health 0 'every job ended well'
	stop
}

not_all_well() {
	start '30 1 * * * good
0 4 * * 0 bad' 2
	health 1 'job bad ended with status 3'
	stop
}

too_long_ago() {
	start '30 1 * * * good' 1
	echo "$(($(date +%s) - 100000)) 0" >"$BACKUP_STATE_DIR/good.ended"
	health 1 'job good has not ended for 10000'
	BACKUP_MAX_AGE=200000 health 0 'every job ended well'
	stop
}

never_ended() {
	start '30 1 * * * long' 0
	until_true [ -s "$BACKUP_RUN_DIR/long" ]
	health 0 'every job ended well'
	echo 1000000000 >"$BACKUP_RUN_DIR/started"
	health 1 'job long has not ended'
	stop
}

asked_to_end() {
	start '30 1 * * * long' 0
	until_true [ -s "$BACKUP_RUN_DIR/long" ] || echo "it did not begin"
	stop
	[ -f "$BACKUP_RUN_DIR/asked" ] || echo "the run was not asked to end"
	kill -0 "$(cat "$BACKUP_RUN_DIR/long")" 2>/dev/null &&
		echo "the run goes on"
	grep -q ' 1$' "$BACKUP_STATE_DIR/long.ended" ||
		echo "nobody noted how it ended"
}

refused() {
	for jobs in '' '30 1 * * *' '30 1 * * * a b' '30 1 * * * ;reboot' \
		'30 1 * * * --help' "30 1 * * * \$(id)"; do
		rm -rf "$BACKUP_RUN_DIR"
		BACKUP_JOBS=$jobs "$container/entrypoint" >"$work/out" 2>&1
		status=$?
		[ "$status" -eq 2 ] || echo "'$jobs': status $status"
		grep -q BACKUP_JOBS "$work/out" || cat "$work/out"
	done
}

other_commands() {
	"$container/entrypoint" sh -c 'exit 7'
	[ $? -eq 7 ] || echo "the command's status is lost"
}

check "the scripts are clean" scripts_are_clean
check "a container without a schedule is not healthy" before_the_first
check "one whose jobs ended well is" all_well
check "one job that ended degraded is enough" not_all_well
check "so is one that ended too long ago" too_long_ago
check "or never" never_ended
check "a run is asked to end with the container" asked_to_end
check "a line that is no job is refused" refused
check "any other command is run in the schedule's place" other_commands
plan
