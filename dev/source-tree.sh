#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Copies the project's files to .cache/tree/ansible_collections/matrix_ops/synapse_s3 if one has changed. Python imports
# the collection by that path, and ansible-test requires a real folder there, not a link.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

wanted=$(source_files | (cd "$ROOT" && xargs -0 sha256sum) | sha256sum)
stamp=$CACHE/tree/.stamp
if [[ -f $stamp && $(<"$stamp") == "$wanted" ]]; then
  exit 0
fi
rm -rf "$TREE" "$stamp"
mkdir -p "$TREE"
source_files | tar --create --directory "$ROOT" --null --files-from - | tar --extract --directory "$TREE"
# Otherwise ansible-test lists files by the checkout's git, which ignores all of .cache.
git init --quiet "$TREE"
printf '%s' "$wanted" >"$stamp"
