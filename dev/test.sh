#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs all checks and tests, the quick ones first; stops at the first that fails, and prints how long each took. The
# integration tests, those of other S3 servers and those of the storage provider use containers of their own and run
# one after the other, in parallel to molecule and the demo, because two cores can run two of them.
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
step dev/docs.sh
step dev/galaxy-importer.sh
step dev/unit.sh
step dev/benchmarks.sh

log=$CACHE/integration.log
say "dev/integration.sh, dev/stores.sh, dev/provider.sh: started in the background; their output follows at the end (until then in $log)"
began=$SECONDS
(
  trap 'kill "${script_pid:-}" 2>/dev/null || :; exit 1' TERM
  for script in dev/integration.sh dev/stores.sh dev/provider.sh; do
    "$ROOT/$script" &
    script_pid=$!
    wait "$script_pid" || fail "make test: $script failed after $((SECONDS - began)) s"
    say "$script ended $((SECONDS - began)) s after the start of this stream"
  done
) >"$log" 2>&1 &
beside=$!
trap 'kill "$beside" 2>/dev/null || :' EXIT
step dev/molecule.sh
step demo/demo.sh
"$ROOT/demo/stop.sh"
status=0
wait "$beside" || status=$?
trap - EXIT
cat "$log"
[[ $status -eq 0 ]] || fail "make test: dev/integration.sh, dev/stores.sh or dev/provider.sh failed, see above"
took+=("$(printf '%-20s %4d s, in parallel to molecule and demo' 'integration, stores, provider' $((SECONDS - began)))")

say "make test: everything passed in $((SECONDS / 60)) min $((SECONDS % 60)) s"
printf '      %s\n' "${took[@]}"
