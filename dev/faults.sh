#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# The fault tests alone, in a container of the homeserver image: as in dev/integration.sh, or longer with
# FAULT_KILLS=200. FAULT_SEED repeats the random numbers of an earlier run, which prints it when a test fails. Arguments
# go to pytest.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=dev/container.sh
source "$ROOT/dev/container.sh"

say "faults: ${FAULT_KILLS:-20} kills"
test_in_new faults synapse-s3-test/homeserver:latest tests/faults "$@"
