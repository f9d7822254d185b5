#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# The unit tests with each Python from 3.9 to 3.13 that is on this machine (in PATH, or below ~/.pyenv), and ansible-test's compile
# and import tests, which import each module and module_utils file without third-party packages. Pythons that are not there are named.
#
#     pythons.sh [VERSION...]
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

versions=("$@")
[[ $# -gt 0 ]] || versions=(3.9 3.10 3.11 3.12 3.13)
newest=$(cd "$ROOT/dev/matrix" && printf '%s\n' ansible-core-*.txt | sort --version-sort | tail -n 1)
core=$(sed -nE 's/^(ansible-core==.*)$/\1/p' "$ROOT/dev/matrix/$newest")
# They run ansible-playbook or render templates as the control node does.
mapfile -t of_the_control_node < <(cd "$ROOT" && grep --files-with-matches --extended-regexp 'ansible-playbook|from role_cases' tests/unit/test_*.py | sort)

summary=()
failed=()
run() { # run VERSION WHAT COMMAND...
  local version=$1 what=$2 began=$SECONDS
  shift 2
  say "Python $version: $what"
  if "$@"; then
    summary+=("Python $version: $what passed in $((SECONDS - began)) s")
  else
    summary+=("Python $version: $what FAILED after $((SECONDS - began)) s")
    failed+=("$version")
  fi
}

for version in "${versions[@]}"; do
  if ! interpreter_of "$version" >/dev/null; then
    summary+=("Python $version: NOT RUN: not on this machine (neither in PATH nor below ${PYENV_ROOT:-$HOME/.pyenv}/versions)")
    continue
  fi
  requirements=$(cd "$ROOT" && grep --files-with-matches --extended-regexp "^# python:.* ${version//./\\.}( |\$)" dev/matrix/ansible-core-*.txt | sort --version-sort | tail -n 1)
  arguments=(--numprocesses "$(nproc)")
  venv=$CACHE/pythons/$version
  TOOLS_VENV=$venv "$ROOT/dev/python-tools.sh" "${requirements:-dev/matrix/python-before-3.11.txt}" "$version"
  if [[ -z $requirements ]]; then
    # Only to be imported, as it is on a host of that Python: ansible.module_utils supports more Pythons than the rest of it.
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --ignore-requires-python "$core"
    summary+=("Python $version: not run, as they are about the control node, which has Python 3.11 or newer in these tests: ${of_the_control_node[*]}")
    arguments+=("${of_the_control_node[@]/#/--ignore=}")
  fi
  run "$version" "unit tests" env TOOLS_VENV="$venv" "$ROOT/dev/unit.sh" "${arguments[@]}"
  run "$version" "compile and import" env SANITY_PYTHON="$version" "$ROOT/dev/sanity.sh" --test compile --test import
done

say "pythons:"
printf '      %s\n' "${summary[@]}"
[[ ${#failed[@]} -eq 0 ]] || fail "pythons: failed: ${failed[*]}"
