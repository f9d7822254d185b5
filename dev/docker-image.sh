#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes the image synapse-s3-test/docker from the image homeserver: Docker and Podman, and the file system of an image with
# Synapse for them. For the molecule scenarios docker and podman. With the argument trixie it makes
# synapse-s3-test/docker-trixie, whose Podman has Quadlet.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=dev/image.sh
source "$ROOT/dev/image.sh"

release=${1:-bookworm}
suffix=""
[[ $release == bookworm ]] || suffix=-$release
inputs=tests/homeserver/docker-image
make_image "synapse-s3-test/docker$suffix" "synapse-s3-test/homeserver$suffix:latest" \
  'Docker, Podman and an image with Synapse for them; a minute or two' \
  "$inputs/install.sh" "$inputs/start.sh"
