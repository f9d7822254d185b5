# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# shellcheck shell=bash
# Shared by the scripts in dev/. Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=$ROOT/.cache
# Ansible's tools find a collection only below a folder of this form; dev/source-tree.sh copies the sources there.
TREE=$CACHE/tree/ansible_collections/matrix_ops/synapse_s3
# The collections of requirements-dev.yml, and this collection as built and installed.
export ANSIBLE_COLLECTIONS_PATH=$CACHE/collections
# ansible-lint and molecule install this collection there too, once for each release. Molecule does so before each scenario,
# so two that run at once need one each.
export ANSIBLE_HOME=$CACHE/${SYNAPSE_S3_ANSIBLE_HOME:-ansible}
# The virtualenv of the tools; dev/test-matrix.sh runs the same scripts with those of other releases of ansible-core.
VENV=${TOOLS_VENV:-$ROOT/.venv}
# Its programs call each other by name (molecule runs ansible-playbook, for one).
PATH=$VENV/bin:$PATH
export ROOT CACHE TREE VENV PATH
mkdir -p "$CACHE"

say() { printf '==> %s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# hash_of FILE... - one hash over names and contents, to tell whether something made from these files is current.
hash_of() { (cd "$ROOT" && sha256sum -- "$@") | sha256sum | cut -c1-16; }

# interpreter_of VERSION - prints the path of a Python such as 3.12 that can make virtualenvs; fails where there is none.
# Asks each candidate for its version: pyenv has shims also for Pythons that are not chosen.
interpreter_of() {
  local candidate
  for candidate in "python$1" python3 "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit("{}.{}".format(*sys.version_info) != sys.argv[1])' "$1" 2>/dev/null; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  return 1
}

# The files of the project, null-separated, relative to $ROOT, without git's own and those that .gitignore names.
source_files() {
  (cd "$ROOT" && find . \( -path ./.git -o -path ./.venv -o -path ./.cache -o -path ./.ansible -o -path ./tests/output -o -path ./benchmarks/results \
    -o -name __pycache__ -o -name '.*_cache' \) -prune -o -type f ! -name '*.pyc' ! -path './*.tar.gz' -print0 | sort -z)
}
