# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# PostgreSQL of other major versions than the distribution's: server, clients
# and pgvector out of the archive of a distribution that has them, unpacked
# into a folder and never installed. To be sourced after packages.sh; what
# prints a path prints all else on stderr.

# Servers do not run as root, so a cache that only root sees is no place for
# them.
postgres_cache()
{
	if [ "$(id -u)" -eq 0 ]; then
		echo /var/cache/libbackup-servers
	else
		echo "${XDG_CACHE_HOME:-$HOME/.cache}/libbackup-servers"
	fi
}

postgres_say()
{
	echo "== PostgreSQL: $*" >&2
}

# postgres_archive MAJOR: the archive that has it, its suite and components.
postgres_archive()
{
	case $1 in
	14) set -- ubuntu jammy ;;
	16) set -- ubuntu noble ;;
	17) set -- debian trixie ;;
	18) set -- ubuntu resolute ;;
	*) return 1 ;;
	esac
	case $1 in
	debian) echo "http://deb.debian.org/debian $2 main" ;;
	ubuntu) echo "http://archive.ubuntu.com/ubuntu $2 main universe" ;;
	esac
}

# Debian has no package of Ubuntu's keys, so theirs is taken and compared with
# what it was when this was written.
postgres_keyring_package=http://archive.ubuntu.com/ubuntu/pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb
postgres_keyring_sum=36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8

# postgres_keyring NAME FOLDER: prints the path of who signs for an archive.
postgres_keyring()
{
	for keyring in "/usr/share/keyrings/$1-archive-keyring".*; do
		if [ -f "$keyring" ]; then
			echo "$keyring"
			return 0
		fi
	done
	[ "$1" = ubuntu ] || return 1
	curl -fsS -o "$2/keys.deb" "$postgres_keyring_package" || return 1
	if ! echo "$postgres_keyring_sum  $2/keys.deb" |
		sha256sum -c --quiet - >&2; then
		postgres_say "$postgres_keyring_package is not what it was"
		return 1
	fi
	dpkg-deb -x "$2/keys.deb" "$2/keys" &&
		echo "$2/keys/usr/share/keyrings/ubuntu-archive-keyring.gpg"
}

# postgres_apt FOLDER ARGUMENT...: apt-get that knows one archive and nothing
# of what is installed here.
postgres_apt()
{
	at=$1
	shift
	apt-get -q -y \
		-o Dir::State="$at/state" \
		-o Dir::State::status="$at/status" \
		-o Dir::Cache="$at/cache" \
		-o Dir::Etc::sourcelist="$at/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferencesparts=/dev/null \
		-o APT::Install-Recommends=false \
		-o APT::Sandbox::User= \
		-o Acquire::Languages=none \
		-o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
		-o Debug::NoLocking=true "$@"
}

# postgres_lists MAJOR FOLDER: fetches the lists of the archive.
postgres_lists()
{
	archive=$(postgres_archive "$1") || return 1
	keyring=$(postgres_keyring "$(basename "${archive%% *}")" "$2") ||
		return 1
	mkdir -p "$2/state/lists/partial" "$2/cache/archives/partial"
	: >"$2/status"
	echo "$archive" | while read -r uri suite components; do
		for pocket in "$suite" "$suite-updates"; do
			echo "deb [signed-by=$keyring] $uri $pocket $components"
		done
	done >"$2/sources.list"
	postgres_apt "$2" -o APT::Update::Error-Mode=any update >&2
}

# What of it is wanted: libraries, but not those of Perl, and not the compiler
# of queries, which is larger than all else together.
postgres_wanted()
{
	sed -n 's/^Inst \([^ :]*\).*/\1/p' |
		grep -E '^(lib|zlib|postgresql-(client-)?[0-9])' |
		grep -v -E '^(libllvm|libz3|libperl|lib.*-perl$)'
}

# postgres_unpack MAJOR FOLDER: leaves the files in FOLDER/root.
postgres_unpack()
{
	packages="postgresql-$1 postgresql-client-$1"
	# Not every archive has it.
	if postgres_apt "$2" -s install "postgresql-$1-pgvector" \
		>/dev/null 2>&1; then
		packages="$packages postgresql-$1-pgvector"
	fi
	# shellcheck disable=SC2086 # words
	wanted=$(postgres_apt "$2" -s install $packages | postgres_wanted)
	[ -n "$wanted" ] || return 1
	mkdir -p "$2/debs"
	# shellcheck disable=SC2086
	(cd "$2/debs" && postgres_apt "$2" download $wanted >&2) || return 1
	for package in "$2"/debs/*.deb; do
		dpkg-deb -x "$package" "$2/root" || return 1
	done
	rm -rf "$2/root/usr/lib/postgresql/$1/lib/llvmjit.so" \
		"$2/root/usr/lib/postgresql/$1/lib/bitcode" \
		"$2/root/usr/share/doc" "$2/root/usr/share/man"
}

# postgres_settle ROOT FINAL: the programs are to find the loader and the
# libraries that came with them, once ROOT is called FINAL.
postgres_settle()
{
	loader=$(cd "$1" && find . -type f -name 'ld-linux*.so.*' | head -n 1)
	libraries=$(cd "$1" && find . -name 'libc.so.6' -o -name 'libpq.so.5' |
		sed 's,^\.,'"$2"',; s,/[^/]*$,,' | sort -u | paste -sd: -)
	for program in "$1"/usr/lib/postgresql/*/bin/*; do
		# Some are scripts.
		patchelf --print-interpreter "$program" >/dev/null 2>&1 ||
			continue
		patchelf --set-interpreter "$2/${loader#./}" \
			--force-rpath --set-rpath "$libraries" "$program" ||
			return 1
	done
}

postgres_install()
{
	if ! postgres_archive "$1" >/dev/null; then
		postgres_say "no archive is known to have version $1"
		return 1
	fi
	packages_install "patchelf curl" >&2
	cache=$(postgres_cache)
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/apt.XXXXXX")
	chmod 755 "$work"
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM
	postgres_say "fetching version $1"
	if postgres_lists "$1" "$work" && postgres_unpack "$1" "$work" &&
		postgres_settle "$work/root" "$cache/postgresql-$1" &&
		mv "$work/root" "$cache/postgresql-$1" && postgres_runs "$1"; then
		postgres_find "$1"
		return
	fi
	postgres_say "version $1 cannot be had from $(postgres_archive "$1")"
	return 1
}

# What does not run here is not kept.
postgres_runs()
{
	"$(postgres_find "$1")/postgres" --version >&2 && return 0
	rm -rf "$(postgres_cache)/postgresql-$1"
	return 1
}

# postgres_find MAJOR: prints the folder of its programs.
postgres_find()
{
	for folder in "/usr/lib/postgresql/$1/bin" \
		"$(postgres_cache)/postgresql-$1/usr/lib/postgresql/$1/bin"; do
		if [ -x "$folder/postgres" ] && [ -x "$folder/pg_dump" ]; then
			echo "$folder"
			return 0
		fi
	done
	return 1
}

postgres_find_or_install()
{
	postgres_find "$1" || (postgres_install "$1")
}
