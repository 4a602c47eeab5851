#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The steps of the Containerfile, so that they can be run, and tested, where
# there is no container engine:
#
#     install.sh build SOURCE DESTINATION    build and install below DESTINATION
#     install.sh run                         what it takes to run, and the user
#
# DATE (20250520T000000Z): Debian's packages as they were then. CLIENTS, SERVERS:
# majors of PostgreSQL, as "15 17".

set -eu

export DEBIAN_FRONTEND=noninteractive

build_packages="build-essential autoconf automake libtool pkg-config
	autoconf-archive libpq-dev libarchive-dev libzstd-dev libssl-dev
	libjansson-dev libcurl4-openssl-dev libexpat1-dev libxxhash-dev
	libisal-dev libs3-dev libyaml-dev"
run_packages="libpq5 libarchive13 libzstd1 libssl3 libjansson4 libcurl4
	libexpat1 libxxhash0 libisal2 libs3-2 libyaml-0-2 ca-certificates
	age zstd jq redis-tools"

use_date()
{
	[ -n "${DATE:-}" ] || return 0
	rm -f /etc/apt/sources.list.d/*
	base=http://snapshot.debian.org/archive
	cat >/etc/apt/sources.list <<LIST
deb [check-valid-until=no] $base/debian/$DATE bookworm main
deb [check-valid-until=no] $base/debian/$DATE bookworm-updates main
deb [check-valid-until=no] $base/debian-security/$DATE bookworm-security main
LIST
}

get()
{
	# shellcheck disable=SC2068 # words
	apt-get install -q -y --no-install-recommends $@
}

build()
{
	use_date
	apt-get update -q
	get "$build_packages"
	copy=$(mktemp -d)
	cp -a "$1/." "$copy/"
	cd "$copy"
	mkdir -p m4
	autoreconf -fi
	./configure -q --prefix=/usr/local CFLAGS='-O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong' \
		LDFLAGS='-Wl,-z,relro,-z,now'
	make -s -j"$(nproc)"
	make -s install-strip DESTDIR="$2"
	rm -f "$2"/usr/local/lib/*.la
	cd /
	rm -rf "$copy"
}

# Debian has one major; PostgreSQL's archive, which Debian has the key of, all.
use_pgdg()
{
	for major in $1; do
		[ "$major" = 15 ] && continue
		get postgresql-common
		/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y
		return
	done
}

run()
{
	use_date
	apt-get update -q
	get "$run_packages"
	use_pgdg "${CLIENTS:-15} ${SERVERS:-}"
	# No cluster is made of a server that is there for proofs.
	mkdir -p /etc/postgresql-common
	echo 'create_main_cluster = false' \
		>/etc/postgresql-common/createcluster.conf
	for major in ${CLIENTS:-15}; do
		get "postgresql-client-$major"
	done
	for major in ${SERVERS:-}; do
		get "postgresql-$major"
	done
	ldconfig
	groupadd --system --gid 10001 libbackup
	useradd --system --uid 10001 --gid 10001 --no-create-home \
		--home-dir /var/lib/libbackup --shell /usr/sbin/nologin libbackup
	for folder in /srv/backup /var/lib/libbackup /var/cache/libbackup; do
		install -d -o 10001 -g 10001 -m 700 "$folder"
	done
	install -d -m 755 /etc/libbackup
	rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb \
		/var/cache/ldconfig/aux-cache /var/log/apt /var/log/dpkg.log
}

action=${1:-}
[ $# -gt 0 ] && shift
case $action in
build | run) "$action" "$@" ;;
*)
	echo "usage: install.sh build SOURCE DESTINATION | install.sh run" >&2
	exit 2
	;;
esac
