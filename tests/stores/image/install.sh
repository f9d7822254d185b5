#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs inside a container of the homeserver image and installs the S3 servers of tests/stores; each test session starts
# them itself.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
export DEBIAN_FRONTEND=noninteractive
umask 022

apt-get update -qq
apt-get install -qq --yes --no-install-recommends ceph-common ceph-mon ceph-osd radosgw >/dev/null
apt-get clean
rm -rf /var/lib/apt/lists/*
# Installed with ceph-osd; it fails at boot where the kernel lacks such devices, and systemd would then be "degraded".
systemctl mask --quiet nvmf-autoconnect.service

/opt/test-tools/venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --requirement "$here/requirements.txt"
