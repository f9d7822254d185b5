#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# A molecule scenario on each release of Debian and Ubuntu but for the one that all other tests use: systemd, PostgreSQL
# and Python as these releases have them, Synapse from PyPI. All of them run, also after one that failed. On Debian 13 the
# scenario podman runs too, in which Podman's Quadlet generates Synapse's service.
#
#     test-systems.sh [RELEASE...]      $SCENARIO chooses another scenario than default
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

releases=("$@")
[[ $# -gt 0 ]] || releases=(trixie jammy noble)
scenario=${SCENARIO:-default}
summary=()
failed=()

run_scenario() { # run_scenario SCENARIO RELEASE IMAGE VERSIONS
  local began=$SECONDS
  # Containers of names of their own, so that the same scenario can run beside it from another checkout.
  if SYNAPSE_S3_TEST_IMAGE=$3 SYNAPSE_S3_TEST_SUFFIX=-$2 "$ROOT/dev/molecule.sh" "$1"; then
    summary+=("$4: $1 passed in $((SECONDS - began)) s")
  else
    summary+=("$4: $1 FAILED after $((SECONDS - began)) s")
    failed+=("$2 ($1)")
  fi
}

for release in "${releases[@]}"; do
  "$ROOT/dev/base-image.sh" "$release"
  "$ROOT/dev/homeserver-image.sh" "$release"
  image=synapse-s3-test/homeserver-$release:latest
  versions=$(docker run --rm "$image" sh -c '
    . /etc/os-release
    echo "$PRETTY_NAME, $(systemctl --version | head -n 1), $(/opt/synapse/venv/bin/python --version), $(ls /usr/lib/postgresql | sed "s/^/PostgreSQL /")"')
  run_scenario "$scenario" "$release" "$image" "$versions"
  if [[ $release == trixie && $scenario == default ]]; then
    "$ROOT/dev/docker-image.sh" trixie
    image=synapse-s3-test/docker-trixie:latest
    run_scenario podman trixie "$image" "$versions, $(docker run --rm "$image" podman --version)"
  fi
done

say "test-systems:"
printf '      %s\n' "${summary[@]}"
[[ ${#failed[@]} -eq 0 ]] || fail "test-systems: failed: ${failed[*]}"
