#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# ansible-test sanity and antsibull-docs on a copy of the collection in the folder they want. Arguments go to ansible-test.
# With $SANITY_PYTHON (3.9) ansible-test alone, for modules and module_utils on that Python.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$ROOT/dev/source-tree.sh"
python_version=${SANITY_PYTHON:-$(python -c 'import sys; print("{}.{}".format(*sys.version_info))')}
# ansible-test looks for pythonX.Y in PATH, and would find a shim of pyenv that leads to no Python.
if [[ -n ${SANITY_PYTHON-} ]]; then
  interpreter=$(interpreter_of "$SANITY_PYTHON") || fail "there is no Python $SANITY_PYTHON on this machine"
  PATH=$VENV/bin:$(dirname "$interpreter"):$PATH
fi

# ansible-test keeps its virtualenvs below the home directory, and downloads get-pip.py there. A home of its own leaves
# the user's unchanged and has a replacement of get-pip.py, so that no download is needed.
test_home=${TOOLS_VENV:-$CACHE}/ansible-test
mkdir -p "$test_home/.ansible/test/cache"
pip_version=$(sed -nE "s/^ +pip='([0-9.]+)',$/\1/p" "$(python -c 'import ansible_test; print(*ansible_test.__path__)')/_internal/python_requirements.py")
[[ $pip_version =~ ^[0-9.]+$ ]] || fail "cannot read from ansible-test which get-pip.py it needs; found: '$pip_version'"
cp "$ROOT/dev/bootstrap_pip.py" "$test_home/.ansible/test/cache/get_pip_${pip_version//./_}.py"
pip_settings=()
for file in "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" "$HOME/.pip/pip.conf"; do
  [[ ! -f $file ]] || pip_settings=("PIP_CONFIG_FILE=$file")
done

say "sanity: ansible-test sanity --python $python_version"
(cd "$TREE" && env HOME="$test_home" "${pip_settings[@]}" ansible-test sanity --color no --python "$python_version" "$@")

[[ -z ${SANITY_PYTHON-} ]] || exit 0
say "sanity: antsibull-docs lint-collection-docs"
antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=self --skip-rstcheck "$TREE"
