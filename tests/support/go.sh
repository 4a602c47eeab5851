# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# Programs that their vendors give away as Go modules: built once and kept. To
# be sourced after packages.sh; what prints a path prints all else on stderr.

# What builds them where the distribution's Go is older. From 1.21 on Go
# fetches a newer one by itself where a module asks for it.
go_version=1.24.8

go_cache()
{
	echo "${XDG_CACHE_HOME:-$HOME/.cache}/libbackup"
}

go_say()
{
	echo "== $*" >&2
}

# Prints the minor version of a Go 1.x.
go_minor()
{
	"$1" env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p'
}

# A newer Go is itself a Go module, checked against Go's checksum database:
# from 1.21 on "go" fetches it by itself; for an older one it is done by hand.
go_newer()
{
	toolchain=golang.org/toolchain@v0.0.1-go$go_version.$(
		"$1" env GOOS
	)-$("$1" env GOARCH)
	go_say "Debian's Go is too old; fetching $toolchain"
	"$1" mod download "$toolchain" >&2 || return 1
	root=$GOPATH/pkg/mod/$toolchain
	# Modules carry no execute bits.
	chmod -R u+w "$root" &&
		find "$root/bin" "$root/pkg/tool" -type f \
			-exec chmod +x {} + || return 1
	echo "$root/bin/go"
}

# Prints a Go that is new enough, installing Debian's where there is none.
go_find()
{
	if ! command -v go >/dev/null 2>&1; then
		packages_install "golang-go ca-certificates" >&2
	fi
	if ! go=$(command -v go); then
		go_say "this needs Go 1.21 or later, and none is here"
		return 1
	fi
	if [ "$(go_minor "$go")" -lt 21 ]; then
		go_newer "$go"
	else
		echo "$go"
	fi
}

# go_build NAME PACKAGE VERSION: prints the path of the program.
go_build()
{
	folder=$(go_cache)/$1-$3
	go_say "$1: go install $2@$3 (some minutes)"
	mkdir -p "$folder" || return 1
	if ! GOBIN=$folder GOTOOLCHAIN="${GOTOOLCHAIN:-auto}" \
		"$go" install "$2@$3" >&2; then
		rmdir "$folder" 2>/dev/null || :
		go_say "$1 $3 cannot be had"
		return 1
	fi
	go_say "$1: kept in $folder"
	echo "$folder/$1"
}

# go_install NAME PACKAGE VERSION...: the first version that can be had. The
# sources of a program and of all it needs are a gigabyte that nobody wants to
# keep, so they go where they can be removed again. In a subshell.
go_install()
{
	cache=$(go_cache)
	name=$1
	package=$2
	shift 2
	mkdir -p "$cache"
	GOPATH=$(mktemp -d "$cache/go.XXXXXX")
	GOMODCACHE=$GOPATH/pkg/mod
	GOCACHE=$GOPATH/build
	export GOPATH GOMODCACHE GOCACHE
	trap 'chmod -R u+w "$GOPATH"; rm -rf "$GOPATH"' EXIT
	trap 'exit 1' HUP INT TERM
	go=$(go_find) || return 1
	case $go in
	"$GOPATH"/*) unset GOROOT ;; # the older one's, where it was set
	esac
	for version; do
		go_build "$name" "$package" "$version" && return 0
	done
	return 1
}

# go_found NAME VERSION...: $NAME on PATH, or a version in the cache.
go_found()
{
	name=$1
	shift
	command -v "$name" && return 0
	for version; do
		if [ -x "$(go_cache)/$name-$version/$name" ]; then
			echo "$(go_cache)/$name-$version/$name"
			return 0
		fi
	done
	return 1
}
