#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Unit tests, sanity tests and one molecule scenario with each release of ansible-core in dev/matrix/, or with $ANSIBLE_CORE alone.
# Each release has a virtualenv in .cache/matrix. All of them run, also after one that failed. $MATRIX_STEPS chooses some of
# "unit sanity molecule"; what was not run, and why, is in the summary.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scenario=quick
mapfile -t releases < <(cd "$ROOT/dev/matrix" && printf '%s\n' ansible-core-*.txt | sed -E 's/^ansible-core-(.*)\.txt$/\1/' | sort --version-sort)
newest=${releases[-1]}
if [[ -n ${ANSIBLE_CORE-} ]]; then
  [[ " ${releases[*]} " == *" $ANSIBLE_CORE "* ]] || fail "ANSIBLE_CORE=$ANSIBLE_CORE is not one of: ${releases[*]}"
  releases=("$ANSIBLE_CORE")
fi
read -r -a steps <<<"${MATRIX_STEPS:-unit sanity molecule}"

summary=()
failed=()
note() { # note RELEASE WHAT RESULT
  summary+=("$(printf '%-6s %-9s %s' "$@")")
}
run() { # run RELEASE WHAT COMMAND...
  local release=$1 what=$2 began=$SECONDS
  shift 2
  say "ansible-core $release: $what"
  if "$@"; then
    note "$release" "$what" "passed in $((SECONDS - began)) s"
  else
    note "$release" "$what" "FAILED after $((SECONDS - began)) s"
    failed+=("$release $what")
  fi
}

# The sanity tests that ansible-test of this virtualenv has, one a line.
sanity_tests() { (cd "$TREE" && "$1/bin/ansible-test" sanity --list-tests 2>/dev/null | sort); }

# say_what_is_missing RELEASE - sanity tests that the newest release has and this one does not.
say_what_is_missing() {
  local newest_venv=$CACHE/matrix/$newest missing
  [[ $1 != "$newest" ]] || return 0
  [[ -x $newest_venv/bin/ansible-test ]] || newest_venv=$ROOT/.venv
  missing=$(comm -13 <(sanity_tests "$CACHE/matrix/$1") <(sanity_tests "$newest_venv") | paste --serial --delimiters ' ')
  note "$1" sanity "sanity tests of ansible-core $newest that ansible-core $1 does not have: ${missing:-none}"
}

for release in "${releases[@]}"; do
  requirements=dev/matrix/ansible-core-$release.txt
  export TOOLS_VENV=$CACHE/matrix/$release
  read -r -a pythons < <(sed -nE 's/^# python: //p' "$ROOT/$requirements")
  if ! "$ROOT/dev/python-tools.sh" "$requirements" "${pythons[@]}"; then
    note "$release" all "NOT RUN: its virtualenv could not be made (see above); it takes one of Python ${pythons[*]}"
    failed+=("$release all")
    continue
  fi
  note "$release" versions "ansible-core $("$TOOLS_VENV/bin/python" -c 'import ansible.release; print(ansible.release.__version__)') on $("$TOOLS_VENV/bin/python" --version)"
  for step in unit sanity molecule; do
    if [[ " ${steps[*]} " != *" $step "* ]]; then
      note "$release" "$step" "not run: left out by MATRIX_STEPS"
      continue
    fi
    case $step in
      unit) run "$release" unit "$ROOT/dev/unit.sh" ;;
      sanity)
        skips=()
        while read -r test reason; do
          skips+=(--skip-test "$test")
          note "$release" sanity "not run: $test, which $reason"
        done < <(sed -nE 's/^# not run: //p' "$ROOT/$requirements")
        run "$release" sanity "$ROOT/dev/sanity.sh" "${skips[@]}"
        say_what_is_missing "$release"
        ;;
      molecule) run "$release" molecule "$ROOT/dev/molecule.sh" "$scenario" ;;
    esac
  done
done

say "test-matrix:"
printf '      %s\n' "${summary[@]}"
[[ ${#failed[@]} -eq 0 ]] || fail "test-matrix: failed: $(printf '%s, ' "${failed[@]}" | sed 's/, $//')"
say "test-matrix: everything that is not named as not run passed"
