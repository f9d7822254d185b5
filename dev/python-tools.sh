#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes the virtualenv of the tools: .venv from requirements-dev.txt, or $TOOLS_VENV from the file that is named; instant where
# neither that file, nor what it includes, nor the Python has changed since.
#
#     python-tools.sh [REQUIREMENTS VERSION...]     VERSIONs are those of Python, the first that is there is taken
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

requirements=${1-requirements-dev.txt}
versions=("${@:2}")

find_python() {
  local candidate
  if [[ ${#versions[@]} -gt 0 ]]; then
    for candidate in "${versions[@]}"; do
      interpreter_of "$candidate" && return
    done
    fail "$requirements needs one of these Pythons with its venv module, and none was found: ${versions[*]}"
  fi
  for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail "no Python 3.11 or newer with its venv module was found; install one (Debian 12, Ubuntu 24.04: apt install python3-venv) and run this again"
}

# The programs of a virtualenv come first in PATH; they must not be what a virtualenv is made from.
while [[ $PATH == "$ROOT"/* ]]; do PATH=${PATH#*:}; done
python=$(find_python)
stamp=$VENV/.stamp
wanted="$(hash_of "$requirements" requirements-test.txt) $("$python" --version)"

if [[ -x $VENV/bin/python && -f $stamp && $(<"$stamp") == "$wanted" ]]; then
  say "Python tools: ${VENV#"$ROOT/"} is current"
  exit 0
fi

if [[ $("$VENV/bin/python" --version 2>/dev/null) == "$("$python" --version)" ]]; then
  say "Python tools: bringing ${VENV#"$ROOT/"} up to date"
else
  say "Python tools: making ${VENV#"$ROOT/"} with $("$python" --version)"
  rm -rf "$VENV"
  "$python" -m venv "$VENV"
fi
"$VENV/bin/pip" install --quiet --disable-pip-version-check --requirement "$ROOT/$requirements"
printf '%s' "$wanted" >"$stamp"
