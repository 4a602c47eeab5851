# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# A MinIO server: found, or built with its vendor's own line. To be sourced;
# what prints a path prints all else on stderr.

minio_module=github.com/minio/minio
minio_release=RELEASE.2025-10-15T17-29-55Z
# The vendor's last commit. Module proxies name it although they may have
# nothing under the release's name.
minio_commit=v0.0.0-20260212201848-7aac2a2c5b7c
# What builds it where the distribution's Go is older.
minio_go=1.24.8

minio_cache()
{
	echo "${XDG_CACHE_HOME:-$HOME/.cache}/libbackup"
}

minio_say()
{
	echo "== MinIO: $*" >&2
}

# Prints the minor version of a Go 1.x.
minio_go_minor()
{
	"$1" env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p'
}

# A newer Go is itself a Go module, checked against Go's checksum database:
# from 1.21 on "go" fetches it by itself; for an older one it is done by hand.
minio_newer_go()
{
	toolchain=golang.org/toolchain@v0.0.1-go$minio_go.$(
		"$1" env GOOS
	)-$("$1" env GOARCH)
	minio_say "Debian's Go is too old; fetching $toolchain"
	"$1" mod download "$toolchain" >&2 || return 1
	root=$GOPATH/pkg/mod/$toolchain
	# Modules carry no execute bits.
	chmod -R u+w "$root" &&
		find "$root/bin" "$root/pkg/tool" -type f \
			-exec chmod +x {} + || return 1
	echo "$root/bin/go"
}

# Prints a Go that is new enough, installing Debian's where there is none.
minio_find_go()
{
	if ! command -v go >/dev/null 2>&1; then
		packages_install "golang-go ca-certificates" >&2
	fi
	if ! go=$(command -v go); then
		minio_say "building it needs Go 1.24 or later, and none is here"
		return 1
	fi
	if [ "$(minio_go_minor "$go")" -lt 21 ]; then
		minio_newer_go "$go"
	else
		echo "$go"
	fi
}

# minio_build GO VERSION FOLDER: leaves FOLDER/minio.
minio_build()
{
	minio_say "go install $minio_module@$2 (some minutes)"
	mkdir -p "$3" &&
		GOBIN=$3 GOTOOLCHAIN="${GOTOOLCHAIN:-auto}" \
			"$1" install "$minio_module@$2" >&2
}

# The sources of MinIO and of all it needs are a gigabyte that nobody wants to
# keep, so they go where they can be removed again.
minio_install()
{
	cache=$(minio_cache)
	mkdir -p "$cache"
	GOPATH=$(mktemp -d "$cache/go.XXXXXX")
	GOMODCACHE=$GOPATH/pkg/mod
	GOCACHE=$GOPATH/build
	export GOPATH GOMODCACHE GOCACHE
	trap 'chmod -R u+w "$GOPATH"; rm -rf "$GOPATH"' EXIT
	trap 'exit 1' HUP INT TERM
	go=$(minio_find_go) || return 1
	case $go in
	"$GOPATH"/*) unset GOROOT ;; # the older one's, where it was set
	esac
	for version in "$minio_release" "$minio_commit"; do
		folder=$cache/minio-$version
		if minio_build "$go" "$version" "$folder"; then
			minio_say "built $version, kept in $folder"
			echo "$folder/minio"
			return 0
		fi
		rmdir "$folder" 2>/dev/null || :
		minio_say "$version cannot be had"
	done
	return 1
}

# $MINIO, PATH, the cache.
minio_find()
{
	if [ -n "${MINIO:-}" ]; then
		if ! command -v "$MINIO"; then
			minio_say "\$MINIO names $MINIO, which is no program"
			return 1
		fi
		return 0
	fi
	if command -v minio; then
		return 0
	fi
	for version in "$minio_release" "$minio_commit"; do
		if [ -x "$(minio_cache)/minio-$version/minio" ]; then
			echo "$(minio_cache)/minio-$version/minio"
			return 0
		fi
	done
	return 1
}

minio_find_or_install()
{
	if minio_find; then
		return 0
	fi
	# What was named and is not there is a mistake to mend, not to hide.
	[ -z "${MINIO:-}" ] && (minio_install)
}
