#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# check.sh BUILD-DIRECTORY [MAKE-ARGUMENT...]: runs the test suite there and
# ends with the one line that counts it: N passed, N failed, N skipped.

set -u

build=$1
shift
log=$build/test-suite.log

# The number after "# PASS:" and the like in automake's summary.
count()
{
	sed -n "s/^# $1: *\([0-9][0-9]*\)\$/\1/p" "$log" | head -n 1
}

rm -f "$log"
make -C "$build" -j"$(nproc 2>/dev/null || echo 1)" check "$@" </dev/null
status=$?

if [ ! -f "$log" ]; then
	echo "the test suite did not run: 'make check' ended with $status" >&2
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi

passed=$(($(count PASS) + $(count XFAIL)))
failed=$(($(count FAIL) + $(count XPASS) + $(count ERROR)))
skipped=$(count SKIP)
if [ "$failed" -gt 0 ]; then
	sed -n '/^\.\. contents/,$p' "$log"
elif [ "$status" -ne 0 ]; then
	echo "'make check' ended with $status" >&2
	failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
