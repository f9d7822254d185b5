#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Installs the collections of requirements-dev.yml in .cache/collections: from Galaxy, or from PyPI's `ansible` package
# if Galaxy cannot be reached. Does nothing if they are current.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Has the versions of requirements-dev.yml, for the Python and ansible-core of requirements-dev.txt.
package=ansible==12.3.0
destination=$CACHE/collections
stamp=$destination/.stamp
wanted=$(hash_of requirements-dev.yml dev/collections.sh)

if [[ -f $stamp && $(<"$stamp") == "$wanted" ]]; then
  say "collections: current"
  exit 0
fi

say "collections: asking Galaxy"
mkdir -p "$destination"
if ! timeout 180 ansible-galaxy collection install --force --no-deps --timeout 20 \
  --requirements-file "$ROOT/requirements-dev.yml" --collections-path "$destination" >"$CACHE/galaxy.log" 2>&1; then
  say "collections: Galaxy cannot be reached (.cache/galaxy.log); taking them from PyPI's $package"
  scratch=$(mktemp --directory "$CACHE/wheel.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  pip download --quiet --disable-pip-version-check --no-deps --dest "$scratch" "$package"
  python "$ROOT/dev/collections_from_wheel.py" "$scratch"/ansible-*.whl "$ROOT/requirements-dev.yml" "$destination"
fi
printf '%s' "$wanted" >"$stamp"
say "collections: ready in .cache/collections"
