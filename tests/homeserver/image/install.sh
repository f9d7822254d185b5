#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs inside a container of the base image and installs everything for a homeserver, without configuring it. The
# configuration differs between tests and is made by tests/homeserver/provision.yml.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
export DEBIAN_FRONTEND=noninteractive
umask 022

apt-get update -qq
apt-get install -qq --yes --no-install-recommends \
  acl ca-certificates curl iproute2 postgresql procps python3-venv sqlite3 >/dev/null
apt-get clean
rm -rf /var/lib/apt/lists/*

virtualenv() { # virtualenv DIRECTORY REQUIREMENTS
  /usr/bin/python3 -m venv "$1"
  "$1/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --requirement "$2"
}
virtualenv /opt/synapse/venv "$here/synapse-requirements.txt"
virtualenv /opt/test-tools/venv "$here/requirements.txt"
/opt/test-tools/venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps \
  --requirement "$here/provider-requirements.txt"

useradd --system --home-dir /var/lib/synapse --create-home --shell /usr/sbin/nologin synapse
