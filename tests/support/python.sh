#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# python.sh ARGUMENT...: the Python that has what the tests stand on. The one
# on PATH may be somebody's own, without the distribution's modules.

for python in ${PYTHON:+"$PYTHON"} python3 /usr/bin/python3; do
	if "$python" -c 'import boto3, psycopg' 2>/dev/null; then
		exec "$python" -B "$@"
	fi
done
echo "no python3 here has the modules boto3 and psycopg; Debian calls them" \
	"python3-boto3 and python3-psycopg; \$PYTHON names another python3" >&2
exit 1
