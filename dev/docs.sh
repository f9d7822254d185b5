#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Builds the site in .cache/docs/html: the guides of docs/, and a page for each module and role. Warnings are errors, and every link
# to a page or heading is checked, also in the Markdown files outside of docs/. Instant where no source has changed since.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$ROOT/dev/source-tree.sh"
"$ROOT/dev/venv.sh" docs requirements-docs.txt
PATH=$CACHE/docs/venv/bin:$PATH
# The documented collection is this checkout, not what is installed in .cache/collections.
export ANSIBLE_COLLECTIONS_PATH=$CACHE/tree

html=$CACHE/docs/html
stamp=$CACHE/docs/html.stamp
wanted="$(<"$CACHE/tree/.stamp") $(<"$CACHE/docs/venv/.stamp")"
if [[ -f $html/index.html && -f $stamp && $(<"$stamp") == "$wanted" ]]; then
  say "docs: .cache/docs/html is current"
  exit 0
fi

say "docs: describing modules and roles"
source=$CACHE/docs/source
rm -rf "$source" "$html" "$stamp"
mkdir -p "$source"
cp -r "$TREE/docs" "$TREE/inventory.example" "$TREE/CHANGELOG.md" "$source/"
# Guides include parts of the README: their links then start from docs/, and their headings are one level higher.
mv "$source/inventory.example" "$source/docs/"
sed -e 's#](docs/#](#g' -e 's#](CHANGELOG.md)#](changelog.md)#g' -e 's/^### /## /' "$TREE/README.md" >"$source/README.md"
# antsibull-docs refuses a folder that others may write to.
(umask 022 && mkdir "$source/docs/reference")
antsibull-docs collection --use-current --squash-hierarchy --fail-on-error --dest-dir "$source/docs/reference" matrix_ops.synapse_s3
# Says only that there are none.
rm "$source/docs/reference/environment_variables.rst"

say "docs: building the site"
sphinx-build -n -W --keep-going -q -b html "$source/docs" "$html"

say "docs: checking links"
python "$ROOT/dev/check_links.py" "$html" "$TREE"
printf '%s' "$wanted" >"$stamp"
say "docs: open .cache/docs/html/index.html"
