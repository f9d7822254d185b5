#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs all checks and tests, several steps at a time; stops at the first that fails, and prints how long each took. The
# output of a step is in a file of .cache/test while it runs, and is printed when it has ended.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Two cores can do three at a time: most steps wait about a third of their time for Synapse, systemd and the network.
at_once=3
# In the order in which they start: first the checks, which find most mistakes soon, then the longest.
steps=(
  dev/lint.sh
  dev/unit.sh
  dev/sanity.sh
  dev/docs.sh
  dev/galaxy-importer.sh
  dev/benchmarks.sh
  dev/integration.sh
  'dev/molecule.sh default'
  'dev/molecule.sh debian_package'
  'dev/molecule.sh workers'
  'dev/molecule.sh docker'
  'dev/molecule.sh refusals'
  'dev/molecule.sh podman'
  'dev/molecule.sh s3_media_upload'
  dev/provider.sh
  demo/demo.sh
  dev/stores.sh
)

# A scenario that nobody added above would never run.
for file in "$ROOT"/molecule/*/molecule.yml; do
  scenario=$(basename "$(dirname "$file")")
  # The scenario default does all that quick does. mdad takes seven minutes, which `make molecule` has.
  [[ $scenario =~ ^(quick|mdad)$ || " ${steps[*]} " == *" dev/molecule.sh $scenario "* ]] || fail "make test: dev/test.sh does not run the scenario $scenario"
done

logs=$CACHE/test
rm -rf "$logs"
mkdir -p "$logs"
declare -A step_of=() log_of=() began_at=()
took=()

# Made once here, because several steps would make it at the same time.
"$ROOT/dev/source-tree.sh"

# Each step is a process group of its own, so that all of it can be ended.
set -m
stop_all() {
  local pid
  for pid in "${!step_of[@]}"; do
    kill -- "-$pid" 2>/dev/null || :
  done
  wait
}
trap stop_all EXIT

start() {
  local step=$1 name log words
  read -r -a words <<<"$step"
  name=$(basename "${words[-1]}" .sh)
  log=$logs/$name.log
  # Molecule and ansible-lint install the collection into Ansible's home, so those that run at the same time need one each.
  SYNAPSE_S3_ANSIBLE_HOME=ansible-$name "$ROOT/${words[0]}" "${words[@]:1}" </dev/null >"$log" 2>&1 &
  step_of[$!]=$step
  log_of[$!]=$log
  began_at[$!]=$SECONDS
  say "$step: started after $SECONDS s (output in ${log#"$ROOT/"})"
}

wait_for_one() {
  local ended status=0 step log duration
  wait -n -p ended "${!step_of[@]}" || status=$?
  step=${step_of[$ended]} log=${log_of[$ended]} duration=$((SECONDS - began_at[$ended]))
  unset "step_of[$ended]"
  say "$step: its output"
  cat "$log"
  [[ $status -eq 0 ]] || fail "make test: $step failed after $duration s with exit status $status, see above"
  say "$step: passed in $duration s"
  took+=("$(printf '%-36s %4d s' "$step" "$duration")")
}

for step in "${steps[@]}"; do
  [[ ${#step_of[@]} -lt $at_once ]] || wait_for_one
  start "$step"
done
while [[ ${#step_of[@]} -gt 0 ]]; do
  wait_for_one
done
"$ROOT/demo/stop.sh"

say "make test: everything passed in $((SECONDS / 60)) min $((SECONDS % 60)) s, $at_once steps at a time"
printf '      %s\n' "${took[@]}"
