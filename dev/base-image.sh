#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes the image synapse-s3-test/base:RELEASE: Debian or Ubuntu with systemd as its init and Python for Ansible. It uses
# the image of a registry, or debootstrap if no registry can be reached.
#
#     base-image.sh [bookworm|trixie|jammy|noble]      (default: bookworm, which all other tests use)
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

release=${1:-bookworm}
packages=(systemd systemd-sysv dbus python3 ca-certificates)
case $release in
  bookworm) official=debian:12 system='Debian 12' ;;
  trixie) official=debian:13 system='Debian 13' ;;
  jammy) official=ubuntu:22.04 system='Ubuntu 22.04' ;;
  noble) official=ubuntu:24.04 system='Ubuntu 24.04' ;;
  *) fail "base-image.sh: $release is not one of bookworm, trixie, jammy, noble" ;;
esac
case $official in
  debian:*)
    mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
    chooser=DEBIAN_MIRROR
    components=main
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    script=$release
    ;;
  ubuntu:*)
    mirror=${UBUNTU_MIRROR:-http://archive.ubuntu.com/ubuntu}
    chooser=UBUNTU_MIRROR
    components=main,universe
    keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg
    # The one that all releases of Ubuntu share; older debootstraps lack the names of the newest.
    script=gutsy
    ;;
esac
image=synapse-s3-test/base:$release

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
  container=$(docker run --detach "$official" sleep infinity)
  docker exec --env DEBIAN_FRONTEND=noninteractive "$container" sh -ec '
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends "$@" >/dev/null
    apt-get clean
    rm -rf /var/lib/apt/lists/*' sh "${packages[@]}"
  docker commit --change 'CMD ["/sbin/init"]' "$container" "$image" >/dev/null
}

# Debian 12 has no package of Ubuntu's keys, and Debian 13 has. Prints the path of the file.
keyring_of_debian_13() {
  local copy=$CACHE/${keyring##*/}
  if [[ ! -s $copy ]]; then
    "$ROOT/dev/base-image.sh" trixie >&2
    container=$(docker run --detach synapse-s3-test/base:trixie sleep infinity)
    docker exec --env DEBIAN_FRONTEND=noninteractive "$container" sh -ec '
      apt-get update -qq
      apt-get install -qq --yes --no-install-recommends ubuntu-archive-keyring >/dev/null' >&2
    docker cp --follow-link "$container:$keyring" "$copy" >/dev/null
    docker rm --force "$container" >/dev/null
  fi
  printf '%s' "$copy"
}

debootstrap_and_import() {
  local include
  tree=$(mktemp --directory "$CACHE/debootstrap.XXXXXX")
  include=$(IFS=,; printf '%s' "${packages[*]}")
  [[ -e $keyring ]] || keyring=$(keyring_of_debian_13)
  debootstrap --variant=minbase --components="$components" --keyring="$keyring" --include="$include" \
    "$release" "$tree" "$mirror" "/usr/share/debootstrap/scripts/$script" >"$CACHE/debootstrap.log" 2>&1 || {
    tail -n 5 "$CACHE/debootstrap.log" >&2
    fail "debootstrap could not make $system from $mirror ($chooser chooses another); the whole output is in $CACHE/debootstrap.log"
  }
  printf "deb %s %s ${components//,/ }\n" "$mirror" "$release" "$mirror" "$release-updates" >"$tree/etc/apt/sources.list"
  # Remove what identifies this machine and what can be downloaded again.
  rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
  : >"$tree/etc/machine-id"
  tar --create --numeric-owner --one-file-system --directory "$tree" . |
    docker import --change 'CMD ["/sbin/init"]' - "$image" >/dev/null
}

say "base image: pulling $official"
if timeout 180 docker pull --quiet "$official" >/dev/null 2>"$CACHE/pull.log"; then
  add_packages_to_pulled_image
  say "base image: $image made from the registry's $official"
else
  say "base image: no registry answered ($(tail -n 1 "$CACHE/pull.log"))"
  say "base image: making $system with debootstrap, about a minute"
  debootstrap_and_import
  say "base image: $image made with debootstrap"
fi
