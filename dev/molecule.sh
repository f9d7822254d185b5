#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Every molecule scenario but for quick, or those named as arguments, with the collection as it is built and installed.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

scenarios=("$@")
if [[ ${#scenarios[@]} -eq 0 ]]; then
  for file in molecule/*/molecule.yml; do
    name=$(basename "$(dirname "$file")")
    # The scenario default does all that quick does.
    [[ $name == quick ]] || scenarios+=("$name")
  done
fi
for scenario in "${scenarios[@]}"; do
  say "molecule: scenario $scenario"
  molecule test --scenario-name "$scenario"
done
