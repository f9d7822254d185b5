#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# venv.sh NAME REQUIREMENTS - makes the virtualenv .cache/NAME/venv for tools whose dependencies do not fit into .venv. Instant where
# the requirements have not changed since.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name=$1
requirements=$2
venv=$CACHE/$name/venv
stamp=$venv/.stamp
wanted="$(hash_of "$requirements") $(python --version)"

if [[ -x $venv/bin/python && -f $stamp && $(<"$stamp") == "$wanted" ]]; then
  exit 0
fi
say "$name: making .cache/$name/venv from $requirements"
rm -rf "$venv"
mkdir -p "$CACHE/$name"
python -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$ROOT/$requirements"
printf '%s' "$wanted" >"$stamp"
