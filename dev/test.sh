#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs all checks and tests, the quick ones first; stops at the first that fails, and prints how long each took. The
# integration tests, those of other S3 servers, those of the storage provider and two scenarios of molecule use containers
# of their own and run one after the other, in parallel to the other scenarios and the demo, because two cores can run two
# of them.
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
beside_scenarios=(refusals s3_media_upload)
say "integration, stores, provider, ${beside_scenarios[*]}: started in the background; their output follows at the end (until then in $log)"
began=$SECONDS
(
  trap 'kill "${script_pid:-}" 2>/dev/null || :; exit 1' TERM
  export SYNAPSE_S3_ANSIBLE_HOME=ansible-beside
  for script in dev/integration.sh dev/stores.sh dev/provider.sh "dev/molecule.sh ${beside_scenarios[*]}"; do
    read -r -a words <<<"$script"
    "$ROOT/${words[0]}" "${words[@]:1}" &
    script_pid=$!
    wait "$script_pid" || fail "make test: $script failed after $((SECONDS - began)) s"
    say "$script ended $((SECONDS - began)) s after the start of this stream"
  done
) >"$log" 2>&1 &
beside=$!
trap 'kill "$beside" 2>/dev/null || :' EXIT
export LEFT_OUT="${beside_scenarios[*]}"
step dev/molecule.sh
step demo/demo.sh
"$ROOT/demo/stop.sh"
status=0
wait "$beside" || status=$?
trap - EXIT
cat "$log"
[[ $status -eq 0 ]] || fail "make test: one of those in the background failed, see above"
took+=("$(printf '%-20s %4d s, in parallel to molecule and demo' "integration, stores, provider, ${LEFT_OUT// /, }" $((SECONDS - began)))")

say "make test: everything passed in $((SECONDS / 60)) min $((SECONDS % 60)) s"
printf '      %s\n' "${took[@]}"
