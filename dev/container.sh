# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# shellcheck shell=bash
# The options of an unprivileged container with systemd as its init. Sourced by the scripts that call `docker run`;
# molecule/*/molecule.yml has the same options in Molecule's form:
#
#   image: synapse-s3-test/homeserver:latest
#   pre_build_image: true
#   command: /sbin/init
#   privileged: false
#   capabilities: [SYS_ADMIN]
#   security_opts: [seccomp=unconfined, apparmor=unconfined]
#   volumes: ["/sys/fs/cgroup:/sys/fs/cgroup:rw"]
#   cgroupns_mode: host
#   tmpfs: [/run, /run/lock]
#
# The host's certificates and pip settings are not mounted: dev/image.sh has copied them into the image if needed.

# shellcheck disable=SC2034  # used by those who source this
CONTAINER_OPTIONS=(
  --cap-add SYS_ADMIN
  --security-opt seccomp=unconfined
  --security-opt apparmor=unconfined
  --volume /sys/fs/cgroup:/sys/fs/cgroup:rw
  --cgroupns host
  --tmpfs /run
  --tmpfs /run/lock
  --stop-signal SIGRTMIN+3
)
CONTAINER_COMMAND=/sbin/init
# How Ansible connects to it.
CONTAINER_CONNECTION='{"ansible_connection": "community.docker.docker", "ansible_python_interpreter": "/usr/bin/python3"}'

# remove_container CONTAINER - if it exists; an older `docker rm --force` fails otherwise.
remove_container() {
  if docker container inspect "$1" >/dev/null 2>&1; then
    docker rm --force --volumes "$1" >/dev/null
  fi
}

# wait_for_systemd CONTAINER - until it has booted; on failure prints the failed units.
wait_for_systemd() {
  local state=""
  for _ in $(seq 60); do
    # This fails until systemd has created its socket and has booted, which is no error yet.
    state=$(docker exec "$1" systemctl is-system-running 2>/dev/null) && return
    [[ $state != degraded ]] || break
    sleep 1
  done
  docker exec "$1" systemctl --failed --no-pager >&2
  fail "systemd in the container $1 is '${state:-not running}'"
}

# start_container CONTAINER IMAGE - a new container, booted, with nothing configured.
start_container() {
  remove_container "$1"
  docker run --detach --name "$1" "${CONTAINER_OPTIONS[@]}" "$2" "$CONTAINER_COMMAND" >/dev/null
  wait_for_systemd "$1"
}

start_homeserver() { start_container "$1" synapse-s3-test/homeserver:latest; }

# pytest_in CONTAINER ARGUMENT... - runs pytest there, with the image's test tools, on the project's current files.
pytest_in() {
  local container=$1 above=/opt/collections
  shift
  "$ROOT/dev/source-tree.sh"
  docker exec "$container" mkdir -p "$above"
  docker cp "$CACHE/tree/ansible_collections" "$container:$above/" >/dev/null
  # Hundreds of tests start modules as programs of their own, each of which would compile the sources again.
  docker exec "$container" /opt/test-tools/venv/bin/python -m compileall -q "$above/ansible_collections/matrix_ops/synapse_s3/plugins"
  docker exec --env "PYTHONPATH=$above" --env PYTHONDONTWRITEBYTECODE=1 --env FAULT_KILLS --env FAULT_SEED \
    --workdir "$above/ansible_collections/matrix_ops/synapse_s3" "$container" \
    /opt/test-tools/venv/bin/pytest -p no:cacheprovider "$@"
}

# provision CONTAINER [ARGUMENT...] - runs tests/homeserver/provision.yml against it; ARGUMENTs go to ansible-playbook.
provision() {
  local container=$1 log=$CACHE/provision-$1.log
  shift
  ANSIBLE_PIPELINING=true ansible-playbook --inventory "$container," --extra-vars "$CONTAINER_CONNECTION" "$@" "$ROOT/tests/homeserver/provision.yml" >"$log" 2>&1 || {
    grep --after-context 20 --max-count 1 '^fatal' "$log" >&2 || tail -n 20 "$log" >&2
    fail "the container $container could not be provisioned; the whole output is in $log"
  }
}

# test_in_new NAME IMAGE TESTS [ARGUMENT...] - runs pytest in a container of its own, synapse-s3-NAME, which the end removes.
test_in_new() {
  local name=$1 image=$2
  shift 2
  container=synapse-s3-$name
  say "$name: starting the container $container"
  trap 'remove_container "$container"' EXIT
  start_container "$container" "$image"

  say "$name: pytest $1"
  pytest_in "$container" "$@"
}
