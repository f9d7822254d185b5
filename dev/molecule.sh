#!/usr/bin/env bash
# Every molecule scenario, or those named as arguments, with the collection as it is built and installed.
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
