#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# The unit tests, from the source tree in which Python finds the collection by its name, one process a core. Arguments go to
# pytest, which then runs in one process, so that its output and its debugger are there.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$ROOT/dev/source-tree.sh"
[[ $# -gt 0 ]] || set -- --numprocesses "$(nproc)"
say "unit: pytest tests/unit $*"
cd "$TREE"
# The tests start many programs, which find the sources compiled there, and leave nothing in the source tree.
PYTHONPATH=$CACHE/tree PYTHONPYCACHEPREFIX=$CACHE/compiled exec pytest -p no:cacheprovider tests/unit "$@"
