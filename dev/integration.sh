#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# The integration and the fault tests, in a container of the homeserver image with everything provisioned: the real
# script, PostgreSQL, Synapse and S3 servers, all on the container's own loopback. Arguments go to pytest.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=dev/container.sh
source "$ROOT/dev/container.sh"

container=synapse-s3-integration
say "integration: starting the container $container"
trap 'remove_container "$container"' EXIT
start_homeserver "$container"

say "integration: provisioning the container"
provision "$container"

say "integration: pytest tests/integration tests/faults"
pytest_in "$container" tests/integration tests/faults --durations=20 "$@"
