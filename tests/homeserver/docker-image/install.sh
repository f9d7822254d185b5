#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs inside a container of the image homeserver: makes /opt/test-tools/synapse-image.tar, the file system of an image
# with Synapse, PostgreSQL and the S3 server, laid out like Synapse's official one, and then installs Docker with Compose,
# and Podman.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
export DEBIAN_FRONTEND=noninteractive
umask 022

install -m 0755 "$here/start.sh" /start.sh
# PostgreSQL does without LLVM, and nothing reads documentation. The official image knows no user of Synapse by name.
tree=$(mktemp --directory)
mkdir -p "$tree/etc" "$tree/tmp" "$tree/var/tmp"
chmod 1777 "$tree/tmp" "$tree/var/tmp"
sed '/^synapse:/d' /etc/passwd >"$tree/etc/passwd"
tar --create --file /opt/test-tools/synapse-image.tar --numeric-owner --one-file-system --directory / \
  --exclude 'usr/share/doc/*' --exclude 'usr/share/man/*' --exclude 'usr/share/locale/*' --exclude '*/libLLVM*' --exclude '*/llvmjit*' \
  --exclude etc/passwd --exclude etc/pip.conf --exclude '*/host-ca-bundle.crt' --exclude var/lib/postgresql \
  bin etc lib lib64 sbin start.sh usr opt/synapse opt/test-tools/venv/bin/rclone var/lib/dpkg/status
tar --append --file /opt/test-tools/synapse-image.tar --numeric-owner --directory "$tree" etc/passwd tmp var/tmp
rm -r /start.sh "$tree"

apt-get update -qq
apt-get install -qq --yes --no-install-recommends aardvark-dns catatonit docker-compose docker.io iptables netavark \
  nftables podman >/dev/null
apt-get clean
rm -rf /var/lib/apt/lists/* /var/lib/docker/* /var/lib/containers/*
