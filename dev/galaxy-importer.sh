#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Galaxy's own checks of an uploaded collection, on the file that a release would be. Its warnings are errors here.
# ansible-lint is left to dev/lint.sh, which has the same profile and more rules, and no time limit of three minutes that a busy
# machine exceeds. GALAXY_IMPORTER_RUN_ANSIBLE_LINT=true dev/galaxy-importer.sh runs it here too.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$ROOT/dev/source-tree.sh"
"$ROOT/dev/venv.sh" galaxy-importer requirements-galaxy-importer.txt
# It calls ansible-doc by name.
PATH=$CACHE/galaxy-importer/venv/bin:$PATH

scratch=$(mktemp --directory "$CACHE/galaxy-importer/run.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cat >"$scratch/galaxy-importer.cfg" <<EOF
[galaxy-importer]
ansible_local_tmp = $scratch/ansible
require_v1_or_greater = True
run_ansible_lint = False
run_flake8 = False
EOF

say "galaxy-importer: building the collection and importing it"
ansible-galaxy collection build --output-path "$scratch" "$TREE" >"$scratch/build.log"
cd "$scratch"
status=0
GALAXY_IMPORTER_CONFIG=$scratch/galaxy-importer.cfg python -m galaxy_importer.main matrix_ops-synapse_s3-*.tar.gz >import.log 2>&1 || status=$?
cat import.log
[[ $status -eq 0 ]] || fail "galaxy-importer: exit status $status"
if grep --quiet --extended-regexp '^(WARNING|ERROR):' import.log; then
  fail "galaxy-importer: it warned, as shown above"
fi
say "galaxy-importer: passed"
