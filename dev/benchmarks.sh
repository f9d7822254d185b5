#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Checks the benchmarks without measuring: their S3 server responds correctly to two independent clients at a low cost,
# and their slow file system loses nothing.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$ROOT/dev/system-packages.sh" benchmarks
say "benchmarks: checking the S3 server and the slow file system"
exec make --no-print-directory -C "$ROOT/benchmarks" check
