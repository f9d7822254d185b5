#!/usr/bin/env bash
# Makes the image synapse-s3-test/homeserver from the base image: PostgreSQL, Synapse and the test tools installed, nothing
# configured. Tagged with a hash of everything it is made from, and :latest; skipped where that tag exists.
# By run, exec and commit rather than a build, so that it works with the plainest engine and can be handed the host's private CA.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name=synapse-s3-test/homeserver
base=synapse-s3-test/base:bookworm
inputs=$ROOT/tests/homeserver/image
bundle_in_container=/etc/ssl/certs/host-ca-bundle.crt

# The CA bundle to hand in: pip's own on this host, else the system's where somebody added a CA to it.
host_bundle() {
  local configured
  configured=$("$ROOT/.venv/bin/pip" config get :env:.cert 2>/dev/null || "$ROOT/.venv/bin/pip" config get global.cert 2>/dev/null || :)
  if [[ -n $configured ]]; then
    printf '%s' "$configured"
  elif compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    printf '%s' /etc/ssl/certs/ca-certificates.crt
  fi
}

bundle=$(host_bundle)
pip_conf=$("$ROOT/.venv/bin/python" "$ROOT/dev/host_pip_conf.py" "${bundle:+$bundle_in_container}")

made_from=$({
  hash_of dev/homeserver-image.sh tests/integration/requirements.txt tests/homeserver/image/*
  docker image inspect --format '{{.Id}}' "$base"
  printf '%s\n' "$pip_conf"
  [[ -z $bundle ]] || sha256sum <"$bundle"
} | sha256sum | cut -c1-16)

if docker image inspect "$name:$made_from" >/dev/null 2>&1; then
  docker tag "$name:$made_from" "$name:latest"
  say "homeserver image: $name:$made_from is there"
  exit 0
fi

say "homeserver image: making $name:$made_from (PostgreSQL, Synapse, test tools; some minutes)"
proxies=()
for variable in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
  [[ -z ${!variable:-} ]] || proxies+=(--env "$variable")
done
container=$(docker run --detach "$base" sleep infinity)
trap 'docker rm --force "$container" >/dev/null' EXIT

docker cp "$inputs/." "$container:/root/image" >/dev/null
docker cp "$ROOT/tests/integration/requirements.txt" "$container:/root/image/test-requirements.txt" >/dev/null
if [[ -n $bundle ]]; then
  docker cp --follow-link "$bundle" "$container:$bundle_in_container" >/dev/null
fi
if [[ -n $pip_conf ]]; then
  docker exec --interactive "$container" sh -c 'cat >/etc/pip.conf' <<<"$pip_conf"
fi
docker exec "${proxies[@]}" "$container" /root/image/install.sh
docker exec "$container" rm -rf /root/image
docker commit --change 'CMD ["/sbin/init"]' "$container" "$name:$made_from" >/dev/null
docker tag "$name:$made_from" "$name:latest"
say "homeserver image: $name:$made_from made"
