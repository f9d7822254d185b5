#!/usr/bin/env bash
# Makes .venv in the checkout from requirements-dev.txt; does nothing if that file has not changed.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail "no Python 3.11 or newer with its venv module was found; install one (Debian 12, Ubuntu 24.04: apt install python3-venv) and run this again"
}

# The venv's own programs come first in PATH, but the venv must not be made with them.
PATH=${PATH#"$ROOT/.venv/bin:"}
python=$(find_python)
stamp=$ROOT/.venv/.stamp
wanted="$(hash_of requirements-dev.txt) $("$python" --version)"

if [[ -x $ROOT/.venv/bin/python && -f $stamp && $(<"$stamp") == "$wanted" ]]; then
  say "Python tools: .venv is current"
  exit 0
fi

if [[ $("$ROOT/.venv/bin/python" --version 2>/dev/null) == "$("$python" --version)" ]]; then
  say "Python tools: updating .venv"
else
  say "Python tools: making .venv with $("$python" --version)"
  rm -rf "$ROOT/.venv"
  "$python" -m venv "$ROOT/.venv"
fi
"$ROOT/.venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$ROOT/requirements-dev.txt"
printf '%s' "$wanted" >"$stamp"
