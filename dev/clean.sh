#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Removes what set-up, demo and tests have made: containers, images, .venv, .cache, and a Docker engine that
# dev/docker-engine.sh has started. Installed system packages stay.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if docker info >/dev/null 2>&1; then
  mapfile -t containers < <(docker ps --all --quiet --filter name='^synapse-s3-')
  [[ ${#containers[@]} -eq 0 ]] || docker rm --force "${containers[@]}" >/dev/null
  mapfile -t images < <(docker images --format '{{.Repository}}:{{.Tag}}' 'synapse-s3-test/*')
  [[ ${#images[@]} -eq 0 ]] || docker rmi "${images[@]}" >/dev/null
fi
if [[ -f $CACHE/dockerd.pid ]] && [[ $(ps -o comm= -p "$(<"$CACHE/dockerd.pid")") == dockerd ]]; then
  say "clean: stopping the Docker engine that dev/docker-engine.sh has started"
  kill "$(<"$CACHE/dockerd.pid")"
fi
rm -rf "$ROOT/.venv" "$CACHE" "$ROOT/.ansible"
say "clean: done"
