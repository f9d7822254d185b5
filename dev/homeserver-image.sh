#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes the image synapse-s3-test/homeserver from the base image: PostgreSQL, Synapse and the test tools installed,
# nothing configured.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=dev/image.sh
source "$ROOT/dev/image.sh"

inputs=tests/homeserver/image
make_image synapse-s3-test/homeserver synapse-s3-test/base:bookworm 'PostgreSQL, Synapse, test tools; some minutes' \
  "$inputs/install.sh" "$inputs/synapse-requirements.txt" "$inputs/provider-requirements.txt" tests/integration/requirements.txt
