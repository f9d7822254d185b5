#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Installs with apt the packages that the other scripts need; with the argument "benchmarks" also those for the figures.
# It looks for programs, not packages, so that a Docker engine or a Python from elsewhere counts, and so that a second
# call is fast.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

missing=()
need() { # need PACKAGE COMMAND...: the command must succeed, else the package is missing
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
has() { command -v "$1"; }

need python3 has python3
need python3-venv python3 -c 'import venv, ensurepip'
need make has make
need git has git
need curl has curl
need ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
need tar has tar
need iproute2 has ss
# The engine, and debootstrap for a base image where no registry can be reached.
docker info >/dev/null 2>&1 || need docker.io has dockerd
need debootstrap has debootstrap
need debian-archive-keyring test -e /usr/share/keyrings/debian-archive-keyring.gpg

# The S3 server of the benchmarks is written in C; its tools run in a virtualenv of the system's Python, which every
# user may run.
need gcc has gcc
need libc6-dev test -e /usr/include/stdio.h
need python3-venv /usr/bin/python3 -c 'import venv, ensurepip'
if [[ ${1-} == benchmarks ]]; then
  need libssl-dev test -e /usr/include/openssl/ssl.h
  need libfuse3-dev test -e /usr/include/fuse3/fuse.h
  need postgresql compgen -G '/usr/lib/postgresql/*/bin/initdb'
fi

# ansible-core 2.19 needs Python 3.11; if the default is older (Ubuntu 22.04) apt has a newer one.
if command -v python3 >/dev/null && ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  need python3.11 has python3.11
  need python3.11-venv python3.11 -c 'import venv, ensurepip'
fi

if [[ ${#missing[@]} -eq 0 ]]; then
  say "system packages: nothing is missing"
  exit 0
fi

command -v apt-get >/dev/null ||
  fail "these packages are missing, and apt is not available (not Debian or Ubuntu): ${missing[*]}"
[[ $(id -u) -eq 0 ]] || fail "installing ${missing[*]} needs root; use make, which calls sudo"

say "system packages: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --yes --no-install-recommends "${missing[@]}" >"$CACHE/apt.log" 2>&1 || {
  tail -n 20 "$CACHE/apt.log" >&2
  fail "apt could not install ${missing[*]}; the whole output is in $CACHE/apt.log"
}
