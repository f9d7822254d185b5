#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes the image synapse-s3-test/base:bookworm: Debian 12 with systemd as its init and Python for Ansible. It uses the
# registry's debian:12, or debootstrap if no registry can be reached.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

image=synapse-s3-test/base:bookworm
packages=(systemd systemd-sysv dbus python3 ca-certificates)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

if docker image inspect "$image" >/dev/null 2>&1; then
  say "base image: $image exists"
  exit 0
fi

container=""
tree=""
clean_up() {
  [[ -z $container ]] || docker rm --force "$container" >/dev/null
  [[ -z $tree ]] || rm -rf --one-file-system "$tree"
}
trap clean_up EXIT

add_packages_to_pulled_image() {
  container=$(docker run --detach debian:12 sleep infinity)
  docker exec --env DEBIAN_FRONTEND=noninteractive "$container" sh -ec '
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends "$@" >/dev/null
    apt-get clean
    rm -rf /var/lib/apt/lists/*' sh "${packages[@]}"
  docker commit --change 'CMD ["/sbin/init"]' "$container" "$image" >/dev/null
}

debootstrap_and_import() {
  local include
  tree=$(mktemp --directory "$CACHE/debootstrap.XXXXXX")
  include=$(IFS=,; printf '%s' "${packages[*]}")
  debootstrap --variant=minbase --include="$include" bookworm "$tree" "$mirror" >"$CACHE/debootstrap.log" 2>&1 || {
    tail -n 5 "$CACHE/debootstrap.log" >&2
    fail "debootstrap could not make Debian 12 from $mirror (DEBIAN_MIRROR chooses another); the whole output is in $CACHE/debootstrap.log"
  }
  printf 'deb %s %s main\n' "$mirror" bookworm "$mirror" bookworm-updates >"$tree/etc/apt/sources.list"
  # Remove what identifies this machine and what can be downloaded again.
  rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
  : >"$tree/etc/machine-id"
  tar --create --numeric-owner --one-file-system --directory "$tree" . |
    docker import --change 'CMD ["/sbin/init"]' - "$image" >/dev/null
}

say "base image: pulling debian:12"
if timeout 180 docker pull --quiet debian:12 >/dev/null 2>"$CACHE/pull.log"; then
  add_packages_to_pulled_image
  say "base image: $image made from the registry's debian:12"
else
  say "base image: no registry answered ($(tail -n 1 "$CACHE/pull.log"))"
  say "base image: making Debian 12 with debootstrap, about a minute"
  debootstrap_and_import
  say "base image: $image made with debootstrap"
fi
