#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Tests the engine with real S3 servers other than rclone, in a container of the stores image, all on its own loopback.
# FAULT_SEED repeats the random numbers of an earlier run. Arguments go to pytest.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=dev/container.sh
source "$ROOT/dev/container.sh"

test_in_new stores synapse-s3-test/stores:latest tests/stores "$@"
