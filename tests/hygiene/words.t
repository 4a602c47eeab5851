#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A licence line in every file, and no word that should not be there.
set -u
. "${top_srcdir:-.}/tests/hygiene/lib.sh"
cd "$top_srcdir" || exit 99

sources() {
	find formats libbackup tools tests man -type f \
		! -path '*/__pycache__/*' ! -path '*/.libs/*' \
		! -path '*/.deps/*' \( -name '*.[ch]' -o -name '*.mk' \
		-o -name '*.t' -o -name '*.sh' -o -name '*.py' \
		-o -name '*.sym' -o -name '*.[1357]' -o -name '*.pml' \
		-o -name '*.bash' \
		-o -name '*.fish' \)
	find . -maxdepth 1 \( -name bootstrap -o -name configure.ac \
		-o -name Makefile.am \)
}

unlicensed() {
	sources | grep -q '^libbackup/' || echo "no source was found"
	sources | while read -r file; do
		head -n 4 "$file" |
			grep -q 'SPDX-License-Identifier: Apache-2.0' ||
			echo "$file"
	done
}

# words PATTERN FOLDER...: lines of C with such a word.
words() {
	pattern=$1
	shift
	find "$@" -name '*.[ch]' -exec grep -n -H -w -E "$pattern" {} +
}

# calls NAMES FOLDER...: lines of C that call one of them.
calls() {
	pattern="(^|[^[:alnum:]_>.])($1)[[:space:]]*\\("
	shift
	find "$@" -name '*.[ch]' -exec grep -n -H -E "$pattern" {} +
}

printing() {
	calls 'printf|puts|perror|exit|abort|signal|sigaction' \
		formats libbackup | grep -v -E '^libbackup/base/child'
}

threads() {
	calls 'pthread_create' formats libbackup tools |
		grep -v -E '^libbackup/base/(pipeline|background)\.c:'
}

check "every file says its licence" unlicensed
check "no call that overruns or races" calls \
	'strcpy|strcat|stpcpy|sprintf|vsprintf|gets|strtok|tmpnam|mktemp' \
	formats libbackup tools
check "nothing is left for later" words '(TODO|FIXME|XXX|HACK)' \
	formats libbackup tools
check "the library never prints, exits or catches signals" printing
check "threads begin in one place" threads
plan
