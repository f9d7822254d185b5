#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# All static checks. Each one runs, so that one call shows all problems.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

failed=()
check() {
  say "lint: $1"
  "$@" || failed+=("$(basename "$1")")
}

# Templates of scripts are not valid shell before they are rendered.
mapfile -d '' scripts < <(source_files | grep --null-data --invert-match '\.j2$' |
  xargs -0 grep --files-with-matches --null --max-count 1 --extended-regexp '^(#!.*\b(ba)?sh\b|# shellcheck shell=)' --)

check yamllint --strict .
# It installs this collection only where no copy of this release is there yet.
rm -rf "$ANSIBLE_HOME/collections/ansible_collections/matrix_ops"
check ansible-lint --strict --nocolor
check ruff check .
check shellcheck --external-sources "${scripts[@]}"
# Offline, because it would ask GitHub for what the actions are.
check zizmor --offline --no-progress --quiet --persona pedantic --strict-collection .github
check dev/mypy.sh
check antsibull-changelog lint
# On a copy, which has neither .venv nor .cache.
dev/source-tree.sh
# Left there by earlier tests.
find "$TREE" -name __pycache__ -prune -exec rm -rf {} +
rm -rf "$TREE/tests/output"
check reuse --root "$TREE" lint --lines

[[ ${#failed[@]} -eq 0 ]] || fail "lint: these checks failed: ${failed[*]}"
