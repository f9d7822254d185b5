#!/usr/bin/env bash
# Sees to it that a Docker engine answers. One that runs is left as it is.
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
  fail "the Docker engine did not come up within $second s; the end of its log is above"
}

if answers; then
  say "Docker engine: answers"
  exit 0
fi
[[ $(id -u) -eq 0 ]] || fail "no Docker engine answers this user; start one or run this through make, which calls sudo"

if [[ -d /run/systemd/system ]]; then
  say "Docker engine: starting docker.service"
  systemctl start docker.service
  wait_for_engine "" journalctl --unit docker.service --no-pager --lines 20
else
  # A container or a sandbox without an init system: nobody else will start the engine.
  say "Docker engine: starting dockerd (log in .cache/dockerd.log, pid in .cache/dockerd.pid)"
  # In a session of its own: whoever ends this make must not end the containers.
  setsid nohup dockerd >"$CACHE/dockerd.log" 2>&1 </dev/null &
  printf '%s\n' "$!" >"$CACHE/dockerd.pid"
  wait_for_engine "$!" tail -n 20 "$CACHE/dockerd.log"
fi
