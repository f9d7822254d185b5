#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# What a developer runs before each commit, in under five minutes on two cores: unit tests, then the linters beside one short
# molecule scenario. The unit tests run alone, because some of them measure time.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$ROOT/dev/unit.sh"
unit_took=$SECONDS

log=$CACHE/lint.log
say "dev/lint.sh: started beside molecule; its output follows at the end (until then in $log)"
"$ROOT/dev/lint.sh" >"$log" 2>&1 &
lint=$!
trap 'kill "$lint" 2>/dev/null || :' EXIT
"$ROOT/dev/molecule.sh" quick
molecule_took=$((SECONDS - unit_took))
status=0
wait "$lint" || status=$?
trap - EXIT
cat "$log"
[[ $status -eq 0 ]] || fail "make quick: dev/lint.sh failed, as told above"
say "make quick: everything passed in $((SECONDS / 60)) min $((SECONDS % 60)) s (unit tests $unit_took s, molecule $molecule_took s with the linters beside it)"
