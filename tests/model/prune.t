#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The protocol of prunes and backups (libbackup/repository/prune.pml), searched
# by spin: no run loses what a snapshot needs, and leaving any of the steps out
# loses something, so the search would see it.
#
# MODEL_SECONDS: how long two backups against two prunes are searched, which
# has too many states for a whole search here; the smaller ones are whole.

. "${top_srcdir:-.}/tests/hygiene/lib.sh"

model=$top_srcdir/libbackup/repository/prune.pml
seconds=${MODEL_SECONDS:-20}
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT

# build "SPIN-FLAGS" "CC-FLAGS": the verifier as $scratch/pan
build() {
	rm -rf "$scratch/pan"*
	# shellcheck disable=SC2086 # lists of words
	(cd "$scratch" && spin -a $1 prune.pml >log 2>&1 &&
		${CC:-cc} -O2 -DSAFETY $2 -o pan pan.c >>log 2>&1) ||
		{
			cat "$scratch/log"
			return 1
		}
}

# Prints what is wrong: the verdict is in the output, not in the status.
holds() {
	build "$1" "$2" || return
	(cd "$scratch" && timeout -s INT "$3" ./pan -m100000 -n >out 2>&1)
	grep -q 'errors: 0$' "$scratch/out" || {
		cat "$scratch/out"
		return
	}
	if grep -q 'max search depth too small\|MEMLIM' "$scratch/out"; then
		cat "$scratch/out"
	fi
}

holds_whole() {
	holds "$1" "-DCOLLAPSE -DMEMLIM=1500" 500
	if grep -q 'Search not completed' "$scratch/out"; then
		cat "$scratch/out"
	fi
}

# A run in which something is lost has to be found.
is_lost() {
	build "-DBREAK_$1 $2" "-DCOLLAPSE -DMEMLIM=1500 $3" || return
	# shellcheck disable=SC2086 # a flag, or none
	(cd "$scratch" && timeout -s INT 500 ./pan -m100000 -n $4 >out 2>&1)
	grep -q 'assertion violated' "$scratch/out" || {
		echo "no run without this step loses anything:"
		cat "$scratch/out"
	}
}

is_tried() {
	grep -q "is_lost $1 " "$0" || echo "no check here leaves it out"
}

cp "$model" "$scratch/prune.pml" || exit 99

check "one backup, one prune" holds_whole "-DWRITERS=1 -DPRUNES=1"
check "two backups, one prune" holds_whole "-DWRITERS=2 -DPRUNES=1"
check "a backup and a share of it, one prune" \
	holds_whole "-DWRITERS=2 -DPRUNES=1 -DSHARES"
check "one backup, two prunes" holds_whole "-DWRITERS=1 -DPRUNES=2"
check "two backups, two prunes, for $seconds seconds" \
	holds "" "-DBITSTATE -DMEMLIM=1500" "$seconds"

one="-DWRITERS=1 -DPRUNES=1"
two="-DWRITERS=1 -DPRUNES=2"
check "a backup reads the condemned lists after it announced itself" \
	is_lost LISTS_FIRST "$one"
check "a backup does not build upon condemned packs" \
	is_lost BUILD_UPON "$one"
check "a backup looks again after it stored its snapshot" \
	is_lost LOOK_AFTER "$one"
check "a backup looks for the mark that gives it up" \
	is_lost LOOK_MARK "$one"
check "a backup looks into the checkpoint" \
	is_lost LOOK_CHECKPOINT "$one"
check "a backup looks which packs are there" \
	is_lost GHOSTS "$two"
check "a prune waits for sessions that do not heed its list" \
	is_lost WAIT "$one"
check "a prune marks a session before it gives it up" \
	is_lost MARK "$one"
check "a prune keeps what a session had reported" \
	is_lost KEEP "$one"
check "a prune reads the snapshots before the checkpoint" \
	is_lost STATE_ORDER "$two"
check "a prune states what does not count before it deletes" \
	is_lost REMOVE_VOID "$two"
check "a prune looks again before it deletes" \
	is_lost LOOK_AGAIN "$one"
check "a prune counts every copy where all are condemned" \
	is_lost ALL_COPIES "$two"
check "a list goes after its packs" \
	is_lost LIST_BEFORE_PACKS "$two"
# Two of each are needed for this one; where the search may leave a process for
# another one three times, it is over in seconds.
check "what a prune finds needed again stays condemned" \
	is_lost RESCUE -DCALM -DBCS -L3
for step in $(sed -n 's/^#if.*def BREAK_\([A-Z_]*\).*/\1/p' "$model" |
	sort -u); do
	check "what $step breaks is looked for" is_tried "$step"
done
plan
