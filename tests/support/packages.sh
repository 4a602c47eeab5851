# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# What has to be installed, and how. Sourced by ./bootstrap and .ci/run.

# shellcheck disable=SC2034 # used by whoever sources this file
PACKAGES_BUILD="build-essential autoconf automake libtool pkg-config
	autoconf-archive libpq-dev libarchive-dev libzstd-dev libssl-dev
	libjansson-dev libcurl4-openssl-dev libexpat1-dev libxxhash-dev
	libisal-dev libs3-dev libyaml-dev zlib1g-dev libcmocka-dev"
# shellcheck disable=SC2034
PACKAGES_SERVERS="postgresql python3 python3-psycopg
	python3-boto3 ca-certificates"
# shellcheck disable=SC2034
PACKAGES_CHECK="python3-pytest python3-jsonschema python3-pil age zstd jq spin
	strace faketime iproute2 libarchive-tools chromium libxml2-utils msmtp
	prometheus python3-prometheus-client python3-yaml systemd cron
	shellcheck mandoc redis-server pgbouncer"
# shellcheck disable=SC2034
PACKAGES_CI="clang libclang-rt-14-dev postgresql-postgis"
# What makes Debian packages, and tries them on a fresh system.
# shellcheck disable=SC2034
PACKAGES_DEBIAN="debhelper lintian debootstrap"

packages_are_installed()
{
	# shellcheck disable=SC2016 # dpkg-query's own variables
	dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null |
		grep -qx installed
}

packages_missing()
{
	for package in $1; do
		packages_are_installed "$package" || printf '%s ' "$package"
	done
}

packages_as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo "$@"
	else
		echo "bootstrap: only root can install packages, and there is" \
			"no sudo here; as root: $*" >&2
		return 1
	fi
}

packages_apt()
{
	packages_as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -q -y "$@" </dev/null
}

# The names are known only after the first "apt-get update" of a machine.
packages_update_if_needed()
{
	for package in $1; do
		if ! apt-cache show "$package" >/dev/null 2>&1; then
			packages_apt update
			return
		fi
	done
}

# Debian's server package makes a cluster and starts it. Nothing here wants
# one, so it is told not to, and told nothing once it is installed.
packages_cluster_conf=/etc/postgresql-common/createcluster.conf

packages_without_cluster()
{
	saved=$(mktemp)
	if [ -f "$packages_cluster_conf" ]; then
		cp "$packages_cluster_conf" "$saved"
	fi
	{
		cat "$saved"
		echo "create_main_cluster = false"
	} >"$saved.new"
	packages_as_root install -D -m 644 "$saved.new" "$packages_cluster_conf"
	status=0
	packages_apt install --no-install-recommends "$@" || status=$?
	template=/usr/share/postgresql-common/createcluster.conf
	if [ -s "$saved" ]; then
		template=$saved
	fi
	if [ -f "$template" ]; then
		packages_as_root install -m 644 "$template" \
			"$packages_cluster_conf"
	fi
	rm -f "$saved" "$saved.new"
	return "$status"
}

# Nothing that is installed to be tested with starts as a service: tests start
# what they need, where they need it.
packages_policy=/usr/sbin/policy-rc.d

packages_without_services()
{
	if [ -e "$packages_policy" ]; then
		"$@"
		return
	fi
	policy=$(mktemp)
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	packages_as_root install -m 755 "$policy" "$packages_policy"
	rm -f "$policy"
	outcome=0
	"$@" || outcome=$?
	packages_as_root rm -f "$packages_policy"
	return "$outcome"
}

packages_have_server()
{
	for initdb in /usr/lib/postgresql/*/bin/initdb; do
		[ -x "$initdb" ] && return 0
	done
	return 1
}

# packages_install "NAME..."
packages_install()
{
	if ! command -v apt-get >/dev/null 2>&1; then
		echo "bootstrap: there is no apt here; what Debian calls" \
			"$(echo "$1" | xargs) has to be installed already" >&2
		return 0
	fi
	missing=$(packages_missing "$1")
	[ -n "$missing" ] || return 0
	echo "== installing $missing"
	packages_update_if_needed "$missing"
	packages_without_services packages_install_missing
}

packages_install_missing()
{
	# shellcheck disable=SC2086 # a list of words
	case " $missing" in
	*" postgresql "*)
		if packages_have_server; then
			packages_apt install --no-install-recommends $missing
		else
			packages_without_cluster $missing
		fi
		;;
	*) packages_apt install --no-install-recommends $missing ;;
	esac
}
