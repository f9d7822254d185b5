#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Starts a Docker engine if none responds.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

answers() { timeout 20 docker info >/dev/null 2>&1; }

wait_for_engine() { # wait_for_engine PID-or-empty COMMAND-THAT-SHOWS-ITS-LOG...
  local pid=$1 second
  shift
  for second in $(seq 60); do
    answers && return
    [[ -z $pid ]] || kill -0 "$pid" 2>/dev/null || break
    sleep 1
  done
  "$@" >&2
  fail "the Docker engine did not start within $second s; the end of its log is above"
}

if answers; then
  say "Docker engine: runs"
  exit 0
fi
[[ $(id -u) -eq 0 ]] || fail "this user reaches no Docker engine; start one or use make, which calls sudo"

if [[ -d /run/systemd/system ]]; then
  say "Docker engine: starting docker.service"
  systemctl start docker.service
  wait_for_engine "" journalctl --unit docker.service --no-pager --lines 20
else
  # In a container or a sandbox without an init system nothing else starts the engine.
  say "Docker engine: starting dockerd (log in .cache/dockerd.log, pid in .cache/dockerd.pid)"
  # In a session of its own, so that the containers survive the end of this make.
  setsid nohup dockerd >"$CACHE/dockerd.log" 2>&1 </dev/null &
  printf '%s\n' "$!" >"$CACHE/dockerd.pid"
  wait_for_engine "$!" tail -n 20 "$CACHE/dockerd.log"
fi
