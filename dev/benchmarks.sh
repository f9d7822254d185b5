#!/usr/bin/env bash
# Whether the benchmarks still work: their store answers right to two independent clients and costs little a request, and their slow
# file system loses nothing. No figures.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$ROOT/dev/system-packages.sh" benchmarks
say "benchmarks: check of the bench store and the slow file system"
exec make --no-print-directory -C "$ROOT/benchmarks" check
