#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes the image synapse-s3-test/provider from the homeserver image: two releases of Synapse with a storage provider.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=dev/image.sh
source "$ROOT/dev/image.sh"

inputs=tests/provider/image
make_image synapse-s3-test/provider synapse-s3-test/homeserver:latest 'the oldest Synapse, storage providers; about a minute' \
  "$inputs/install.sh" "$inputs/newest-requirements.txt" "$inputs/oldest-requirements.txt"
