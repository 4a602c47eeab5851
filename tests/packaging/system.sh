# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# A fresh Debian 12 in a folder, for chroot: made once and kept. To be sourced
# after packages.sh, by root.

system_cache()
{
	echo "${XDG_CACHE_HOME:-$HOME/.cache}/libbackup/debian-12.tar"
}

# system_bootstrap: into the cache, whole or not at all.
system_bootstrap()
{
	[ -s "$(system_cache)" ] && return 0
	mkdir -p "$(dirname "$(system_cache)")"
	scratch=$(mktemp -d "$(system_cache).XXXXXX")
	if debootstrap --variant=minbase bookworm "$scratch/root" \
		http://deb.debian.org/debian >"$scratch/log" 2>&1 &&
		rm -rf "$scratch"/root/var/cache/apt/archives/*.deb &&
		tar -C "$scratch/root" --one-file-system -cf "$scratch/tar" .; then
		mv "$scratch/tar" "$(system_cache)"
	else
		tail -n 20 "$scratch/log" >&2
	fi
	rm -rf "$scratch"
	[ -s "$(system_cache)" ]
}

# system_make FOLDER: a fresh system there, with this machine's way to the
# archive. Nothing in it is started by being installed.
system_make()
{
	system_bootstrap || return 1
	mkdir -p "$1"
	tar -C "$1" -xf "$(system_cache)"
	cp /etc/resolv.conf "$1/etc/resolv.conf"
	cp /etc/hosts "$1/etc/hosts"
	printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
	chmod +x "$1/usr/sbin/policy-rc.d"
	# Lists as of now, and dpkg need not wait for the disk of a scratch place.
	echo force-unsafe-io >"$1/etc/dpkg/dpkg.cfg.d/scratch"
	apt-config dump | grep -E '^Acquire::(http|https|ftp)::Proxy ' \
		>"$1/etc/apt/apt.conf.d/99proxy" || :
	system_run "$1" apt-get -q update >/dev/null
}

# system_run FOLDER COMMAND...: as root in the system, with processes and mounts
# of its own, so that nothing outlives it.
system_run()
{
	system=$1
	shift
	unshare --mount --pid --fork --kill-child sh -c '
		mount -t proc proc "$0/proc" &&
		exec chroot "$0" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 \
			PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			DEBIAN_FRONTEND=noninteractive \
			${http_proxy:+http_proxy="$http_proxy"} \
			${https_proxy:+https_proxy="$https_proxy"} "$@"' \
		"$system" "$@" </dev/null
}

system_remove()
{
	rm -rf --one-file-system "$1"
}
