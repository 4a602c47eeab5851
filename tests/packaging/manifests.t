#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Files for container engines and for Kubernetes.
exec "${top_srcdir:-.}/tests/support/python.sh" \
	"${top_srcdir:-.}/tests/packaging/manifests.py"
