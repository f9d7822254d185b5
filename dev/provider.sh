#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Tests the resilient storage provider inside the oldest and the newest Synapse, beside the official one, with a real S3
# server behind a faulty network, in a container of the provider image. Arguments go to pytest.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=dev/container.sh
source "$ROOT/dev/container.sh"

"$ROOT/dev/provider-image.sh"
test_in_new provider synapse-s3-test/provider:latest tests/provider "$@"
