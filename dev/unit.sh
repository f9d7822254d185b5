#!/usr/bin/env bash
# The unit tests, from the source tree in which Python finds the collection by its name. Arguments go to pytest.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$ROOT/dev/source-tree.sh"
say "unit: pytest tests/unit"
cd "$TREE"
PYTHONPATH=$CACHE/tree PYTHONDONTWRITEBYTECODE=1 exec pytest -p no:cacheprovider tests/unit "$@"
