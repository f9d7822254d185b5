#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Builds a Debian package of Synapse in the layout of packages.matrix.org, from the Synapse that the image has:
#
#   build.sh REVISION FOLDER    makes FOLDER/matrix-synapse-py3_REVISION.deb
#
# Like the original it has its own virtualenv in /opt/venvs/matrix-synapse, homeserver.yaml as a configuration file, and
# a service that its postinst restarts after an upgrade.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
revision=$1
folder=$2
umask 022

tree=$(mktemp --directory)
trap 'rm -rf "$tree"' EXIT
venv=$tree/opt/venvs/matrix-synapse
mkdir -p "$tree/DEBIAN" "$tree/etc/matrix-synapse" "$tree/lib/systemd/system" "$tree/var/lib/matrix-synapse" "$tree/var/log/matrix-synapse" "$venv"
chmod 0755 "$tree"

# pip is part of the original's virtualenv too.
/usr/bin/python3 -m venv --without-pip "$venv"
for packages in /opt/synapse/venv/lib/python3*/site-packages; do
  cp --archive "$packages" "$venv/lib/$(basename "$(dirname "$packages")")/"
done
# Made for the folder in which it was built, as dh-virtualenv does it.
sed --in-place "s|$tree||" "$venv/pyvenv.cfg"
rm "$venv"/bin/activate* "$venv"/bin/Activate*

"$venv/bin/python" -m synapse._scripts.generate_config --config-dir /etc/matrix-synapse --data-dir /var/lib/matrix-synapse |
  sed --regexp-extended \
    -e '/^(signing_key_path|log_config):/ s/SERVERNAME(\.log\.config)?/homeserver/' \
    -e '/^log_config:/ s/homeserver/log.yaml/' \
    -e '/^media_store_path:/ s|/media_store|/media|' \
    -e 's/^server_name:/# See conf.d\/server_name.yaml.\n# server_name:/' \
    -e '/^# report_stats:/ d' >"$tree/etc/matrix-synapse/homeserver.yaml"
"$venv/bin/python" -m synapse._scripts.generate_log_config --output-file "$tree/etc/matrix-synapse/log.yaml"

cp "$here/matrix-synapse.service" "$tree/lib/systemd/system/"
install -m 0755 "$here/postinst" "$here/prerm" "$here/postrm" "$tree/DEBIAN/"
printf '%s\n' /etc/matrix-synapse/homeserver.yaml /etc/matrix-synapse/log.yaml >"$tree/DEBIAN/conffiles"
cat >"$tree/DEBIAN/control" <<CONTROL
Package: matrix-synapse-py3
Version: $revision
Architecture: $(dpkg --print-architecture)
Maintainer: matrix_ops.synapse_s3 contributors <nobody@example.org>
Depends: adduser, $(basename "$(readlink --canonicalize /usr/bin/python3)")
Provides: matrix-synapse
Description: Synapse in the layout of packages.matrix.org, for tests
CONTROL
# Unpacked once, on the machine that builds it.
dpkg-deb --build --root-owner-group -Znone "$tree" "$folder/matrix-synapse-py3_$revision.deb" >/dev/null
