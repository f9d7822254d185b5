#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Builds the collection as for a release, and installs the archive beside the collections it needs, if a source has
# changed. Playbooks then run the same files as a user would install, not the checkout.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$ROOT/dev/source-tree.sh"
stamp=$CACHE/collection.stamp
installed=$CACHE/collections/ansible_collections/matrix_ops/synapse_s3
if [[ -f $stamp && -d $installed ]] && cmp --quiet "$stamp" "$CACHE/tree/.stamp"; then
  say "collection: installed in .cache/collections and current"
  exit 0
fi

say "collection: building and installing it in .cache/collections"
scratch=$(mktemp --directory "$CACHE/build.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
ansible-galaxy collection build --output-path "$scratch" "$TREE" >"$CACHE/build.log"
ansible-galaxy collection install --offline --force --no-deps --collections-path "$CACHE/collections" \
  "$scratch"/matrix_ops-synapse_s3-*.tar.gz >>"$CACHE/build.log"
cp "$CACHE/tree/.stamp" "$stamp"
