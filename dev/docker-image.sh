#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes the image synapse-s3-test/docker from the image homeserver: Docker, and the file system of an image with Synapse
# for it. Without arguments of its own; for the molecule scenario docker.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=dev/image.sh
source "$ROOT/dev/image.sh"

inputs=tests/homeserver/docker-image
make_image synapse-s3-test/docker synapse-s3-test/homeserver:latest 'Docker and an image with Synapse for it; a minute or two' \
  "$inputs/install.sh" "$inputs/start.sh"
