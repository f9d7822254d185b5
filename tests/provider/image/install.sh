#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs inside a container of the homeserver image: the official storage provider in its Synapse, and beside it the oldest
# release of Synapse that this collection knows, with the release of the provider that fits it. The resilient one is
# taken from the sources of the tests.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
umask 022

install() { # install VIRTUALENV REQUIREMENTS PROVIDER - without what the provider declares, as the role does it
  "$1/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --requirement "$2"
  "$1/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --no-deps "$3"
}
install /opt/synapse/venv "$here/newest-requirements.txt" synapse-s3-storage-provider==1.7.0

/usr/bin/python3 -m venv /opt/synapse-oldest
install /opt/synapse-oldest "$here/oldest-requirements.txt" synapse-s3-storage-provider==1.5.0
