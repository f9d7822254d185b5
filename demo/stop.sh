#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Removes the demo's container and its data.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../dev/common.sh"
# shellcheck source=dev/container.sh
source "$ROOT/dev/container.sh"

remove_container synapse-s3-demo
say "demo: stopped and removed"
