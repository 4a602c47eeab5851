# SPDX-License-Identifier: Apache-2.0
# ./bootstrap demo; its data also serves the tests.
EXTRA_DIST += \
	tests/demo/change.sql \
	tests/demo/data.sql \
	tests/demo/demo.py \
	tests/demo/fill.py \
	tests/demo/indexes.sql \
	tests/demo/schema.sql
