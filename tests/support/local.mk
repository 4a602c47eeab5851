# SPDX-License-Identifier: Apache-2.0
# Throwaway servers, the commands and witnesses, for tests, demo and bench.
EXTRA_DIST += \
	tests/support/check.sh \
	tests/support/go.sh \
	tests/support/minio.sh \
	tests/support/s3servers.sh \
	tests/support/packages.sh \
	tests/support/postgres.sh \
	tests/support/python.sh \
	tests/support/harness/__init__.py \
	tests/support/harness/faults.py \
	tests/support/harness/folder.py \
	tests/support/harness/gate.py \
	tests/support/harness/shelf.py \
	tests/support/harness/minio.py \
	tests/support/harness/peak.py \
	tests/support/harness/postgres.py \
	tests/support/harness/process.py \
	tests/support/harness/proxy.py \
	tests/support/harness/s3servers.py \
	tests/support/harness/stack.py \
	tests/support/harness/terminal.py \
	tests/support/harness/trace.py \
	tests/support/harness/witness.py
