# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# A MinIO server: found, or built with its vendor's own line. To be sourced
# after go.sh.

minio_package=github.com/minio/minio
# The last release; and the vendor's last commit, for module proxies name it
# although they may have nothing under the release's name.
minio_versions="RELEASE.2025-10-15T17-29-55Z
	v0.0.0-20260212201848-7aac2a2c5b7c"

# $MINIO, PATH, the cache.
minio_find()
{
	if [ -n "${MINIO:-}" ]; then
		if ! command -v "$MINIO"; then
			go_say "\$MINIO names $MINIO, which is no program"
			return 1
		fi
		return 0
	fi
	# shellcheck disable=SC2086 # words
	go_found minio $minio_versions
}

minio_find_or_install()
{
	if minio_find; then
		return 0
	fi
	# What was named and is not there is a mistake to mend, not to hide.
	# shellcheck disable=SC2086
	[ -z "${MINIO:-}" ] &&
		(go_install minio "$minio_package" $minio_versions)
}
