#!/bin/sh
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# systemd runs this as root before Synapse starts: restore.sh PYTHON, the Python of Synapse. What it prints is in Synapse's journal.
set -eu
here=$(dirname "$0")
python=$1
folder=$(dirname "$python")

if ! [ -x "$python" ]; then
  echo "matrix_ops.synapse_s3: Synapse's Python $python does not exist or cannot be run, so the storage provider cannot be looked for in it." >&2
  exit 1
fi

# Several services may share the virtualenv. Theirs is a start at the same time, so one waits for the other.
exec 9<"$here"
flock 9

# As the owner of Synapse's packages, who may be able to change what this Python runs.
restored=$(setpriv --reuid="$(stat -c %u "$folder")" --regid="$(stat -c %g "$folder")" --clear-groups --reset-env -- \
  /bin/sh -c 'umask 022 && exec "$@"' sh "$python" -I -B "$here/restore.py" "$here/wheels.json")
[ -n "$restored" ] || exit 0

# For the removal of the storage provider, which takes away what was added.
printf '%s\n' "$restored" | grep -xE '[a-z0-9]+(-[a-z0-9]+)*' >>"$here/restored.txt"
packages=$(sort -u "$here/restored.txt" | sed 's/.*/"&"/' | paste -sd,)
printf '{"packages": [%s]}\n' "$packages" >"$here/restored.json.new"
# The content before the name, so that a power cut leaves no half of it.
sync "$here/restored.txt" "$here/restored.json.new"
mv "$here/restored.json.new" "$here/restored.json"
sync "$here"
