#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes the image synapse-s3-test/homeserver from the base image: PostgreSQL, Synapse and the test tools installed,
# nothing configured. With the argument trixie, jammy or noble it makes synapse-s3-test/homeserver-RELEASE.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=dev/image.sh
source "$ROOT/dev/image.sh"

release=${1:-bookworm}
name=synapse-s3-test/homeserver
[[ $release == bookworm ]] || name+=-$release
inputs=tests/homeserver/image
make_image "$name" "synapse-s3-test/base:$release" 'PostgreSQL, Synapse, test tools; some minutes' \
  "$inputs/install.sh" "$inputs/synapse-requirements.txt" "$inputs/provider-requirements.txt" tests/integration/requirements.txt
