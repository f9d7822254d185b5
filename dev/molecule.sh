#!/usr/bin/env bash
# Runs all molecule scenarios, or those given as arguments, with the collection as built and installed.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

scenarios=("$@")
if [[ ${#scenarios[@]} -eq 0 ]]; then
  for file in molecule/*/molecule.yml; do
    scenarios+=("$(basename "$(dirname "$file")")")
  done
fi
for scenario in "${scenarios[@]}"; do
  say "molecule: scenario $scenario"
  molecule test --scenario-name "$scenario"
done
