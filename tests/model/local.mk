# SPDX-License-Identifier: Apache-2.0
# Models of protocols, searched by spin.
dist_check_SCRIPTS += tests/model/prune.t
TESTS += tests/model/prune.t
