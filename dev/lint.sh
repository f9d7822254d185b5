#!/usr/bin/env bash
# Every check of form that needs no container. All of them run, so that one call names all there is to mend.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

failed=()
check() {
  say "lint: $1"
  "$@" || failed+=("$(basename "$1")")
}

# Templates of scripts are no scripts yet.
mapfile -d '' scripts < <(source_files | grep --null-data --invert-match '\.j2$' |
  xargs -0 grep --files-with-matches --null --max-count 1 --extended-regexp '^(#!.*\b(ba)?sh\b|# shellcheck shell=)' --)

check yamllint --strict .
check ansible-lint --strict --nocolor
check ruff check .
check shellcheck --external-sources "${scripts[@]}"
check dev/mypy.sh
check antsibull-changelog lint
# On a copy, which has neither .venv nor .cache.
dev/source-tree.sh
check reuse --root "$TREE" lint --lines

[[ ${#failed[@]} -eq 0 ]] || fail "lint: these found something: ${failed[*]}"
