# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# shellcheck shell=bash
# Finds free ports on this machine's loopback for the demo. Sourced.

# free_port WANTED - the first port from WANTED on that is free.
free_port() {
  local port=$1
  while ss --no-header --listening --tcp --numeric "sport = :$port" | grep --quiet .; do
    port=$((port + 1))
  done
  printf '%s' "$port"
}
