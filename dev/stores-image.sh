#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes the image synapse-s3-test/stores from the homeserver image: the S3 servers of tests/stores installed, nothing configured.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=dev/image.sh
source "$ROOT/dev/image.sh"

inputs=tests/stores/image
make_image synapse-s3-test/stores synapse-s3-test/homeserver:latest "Ceph's RGW, SeaweedFS, JuiceFS; about a minute" \
  "$inputs/install.sh" "$inputs/requirements.txt"
