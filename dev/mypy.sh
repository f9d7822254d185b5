#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs mypy on all Python files, each folder with the import path that its files use.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$ROOT/dev/source-tree.sh"
status=0
check() { mypy --config-file "$ROOT/pyproject.toml" --cache-dir "$CACHE/mypy" --no-error-summary "$@" || status=1; }
# pytest passes fixtures by name, so mypy cannot check annotations of test functions; their calls are checked anyway.
tests=(--allow-untyped-defs --allow-incomplete-defs --allow-untyped-calls --no-warn-return-any)

# The plugins and their unit tests import the collection by its full name, from above ansible_collections.
cd "$CACHE/tree"
collection=ansible_collections/matrix_ops/synapse_s3
check "$collection/plugins"
check "${tests[@]}" "$collection/tests/unit"

# Programs and tests in these folders import their neighbours by bare name.
export MYPYPATH=$CACHE/tree
for folder in dev demo tests/homeserver/tools; do
  cd "$TREE/$folder"
  check .
done
# The figures use the database of the integration tests; the tests in faults and stores use their servers too.
cd "$TREE/benchmarks"
MYPYPATH=$CACHE/tree:$TREE/tests/integration:$TREE/tests/provider check .
cd "$TREE/tests/faults"
MYPYPATH=$CACHE/tree:$TREE/tests/integration check "${tests[@]}" .
cd "$TREE/tests/stores"
MYPYPATH=$CACHE/tree:$TREE/tests/integration:$TREE/tests/faults check "${tests[@]}" .
cd "$TREE/tests/provider"
MYPYPATH=$CACHE/tree:$TREE/tests/integration check "${tests[@]}" .
# Synapse and Twisted are not there when it is checked, so what comes from them has no type.
cd "$TREE/roles/storage_provider/files"
check .
for folder in tests/integration molecule; do
  cd "$TREE/$folder"
  check "${tests[@]}" .
done
exit "$status"
