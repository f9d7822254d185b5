#!/usr/bin/env bash
# Whether the benchmarks still work: their store answers right to two independent clients, and costs little a request. No figures.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

say "benchmarks: check of the bench store"
exec make --no-print-directory -C "$ROOT/benchmarks" check
