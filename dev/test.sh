#!/usr/bin/env bash
# Every check and test there is, the quick ones first; stops at the first that fails, and says how long each took.
# The integration tests have a container of their own and run beside molecule and the demo: two cores, two streams.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

took=()
step() {
  local began=$SECONDS
  "$ROOT/$1" || fail "make test: $1 failed after $((SECONDS - began)) s"
  took+=("$(printf '%-20s %4d s' "$1" $((SECONDS - began)))")
}

step dev/lint.sh
step dev/sanity.sh
step dev/unit.sh
step dev/benchmarks.sh

log=$CACHE/integration.log
say "integration: started beside the rest; its output follows at the end (until then in $log)"
began=$SECONDS
"$ROOT/dev/integration.sh" >"$log" 2>&1 &
integration=$!
trap 'kill "$integration" 2>/dev/null || :' EXIT
step dev/molecule.sh
step demo/demo.sh
"$ROOT/demo/stop.sh"
status=0
wait "$integration" || status=$?
trap - EXIT
cat "$log"
[[ $status -eq 0 ]] || fail "make test: dev/integration.sh failed with $status"
took+=("$(printf '%-20s %4d s, beside molecule and demo' dev/integration.sh $((SECONDS - began)))")

say "make test: everything passed in $((SECONDS / 60)) min $((SECONDS % 60)) s"
printf '      %s\n' "${took[@]}"
