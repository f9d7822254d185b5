# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# shellcheck shell=bash
# Makes an image of the tests from another one. Sourced by dev/*-image.sh, after dev/common.sh. It uses run, exec and
# commit instead of a build, so that it works with the simplest engine and can use the host's private CA.

_bundle_in_container=/etc/ssl/certs/host-ca-bundle.crt

# The CA bundle to copy into the image: pip's own on this host, else the system's if it has an added CA.
_host_bundle() {
  local configured
  configured=$("$ROOT/.venv/bin/pip" config get :env:.cert 2>/dev/null || "$ROOT/.venv/bin/pip" config get global.cert 2>/dev/null || :)
  if [[ -n $configured ]]; then
    printf '%s' "$configured"
  elif compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    printf '%s' /etc/ssl/certs/ca-certificates.crt
  fi
}

# make_image NAME BASE CONTENTS FILE... - runs an install.sh in a container of BASE, and commits the result as NAME.
# FILEs, relative to the project, are copied beside install.sh; install.sh is the first. The image is tagged with a hash
# of everything it is made from, and :latest, and is not made again if that tag exists. CONTENTS is for the message.
make_image() {
  local name=$1 base=$2 contents=$3 kind=${1##*/} bundle pip_conf made_from container variable file proxies=()
  shift 3
  bundle=$(_host_bundle)
  pip_conf=$("$ROOT/.venv/bin/python" "$ROOT/dev/host_pip_conf.py" "${bundle:+$_bundle_in_container}")
  made_from=$({
    hash_of dev/image.sh "$@"
    docker image inspect --format '{{.Id}}' "$base"
    printf '%s\n' "$pip_conf"
    [[ -z $bundle ]] || sha256sum <"$bundle"
  } | sha256sum | cut -c1-16)

  if docker image inspect "$name:$made_from" >/dev/null 2>&1; then
    docker tag "$name:$made_from" "$name:latest"
    say "$kind image: $name:$made_from exists"
    return
  fi

  say "$kind image: making $name:$made_from ($contents)"
  for variable in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [[ -z ${!variable:-} ]] || proxies+=(--env "$variable")
  done
  container=$(docker run --detach "$base" sleep infinity)
  # Expanded now, because the variable is unset when the trap runs.
  # shellcheck disable=SC2064
  trap "docker rm --force '$container' >/dev/null" EXIT

  docker exec "$container" mkdir /root/image
  for file in "$@"; do
    docker cp "$ROOT/$file" "$container:/root/image/" >/dev/null
  done
  if [[ -n $bundle ]]; then
    docker cp --follow-link "$bundle" "$container:$_bundle_in_container" >/dev/null
  fi
  if [[ -n $pip_conf ]]; then
    docker exec --interactive "$container" sh -c 'cat >/etc/pip.conf' <<<"$pip_conf"
  fi
  docker exec "${proxies[@]}" "$container" /root/image/install.sh
  docker exec "$container" rm -rf /root/image
  docker commit --change 'CMD ["/sbin/init"]' "$container" "$name:$made_from" >/dev/null
  docker tag "$name:$made_from" "$name:latest"
  say "$kind image: $name:$made_from made"
}
