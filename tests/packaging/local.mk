# SPDX-License-Identifier: Apache-2.0
# What is in packages and schedules.
dist_check_SCRIPTS += tests/packaging/units.t
TESTS += tests/packaging/units.t
