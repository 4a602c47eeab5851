# SPDX-License-Identifier: Apache-2.0
# What the hygiene scripts share.
# shellcheck shell=sh
top_srcdir=${top_srcdir:-.}
top_builddir=${top_builddir:-.}
number=0
LC_ALL=C
export LC_ALL

# check NAME FUNCTION [ARGUMENT...]: a line of TAP. Whatever the function
# prints is wrong; nothing printed is right.
check() {
	number=$((number + 1))
	title=$1
	shift
	wrong=$("$@" 2>&1)
	if [ -z "$wrong" ]; then
		echo "ok $number - $title"
	else
		echo "not ok $number - $title"
		echo "$wrong" | sed 's/^/# /'
	fi
}

plan() {
	echo "1..$number"
}
