#!/usr/bin/env bash
# The integration tests, inside a container of the homeserver image with everything provisioned: the real script, PostgreSQL,
# Synapse and S3 servers, all on that container's own loopback. Arguments go to pytest.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=dev/container.sh
source "$ROOT/dev/container.sh"

container=synapse-s3-integration
above=/opt/collections

"$ROOT/dev/source-tree.sh"
remove_container "$container"
say "integration: starting the container $container"
docker run --detach --name "$container" "${CONTAINER_OPTIONS[@]}" synapse-s3-test/homeserver:latest "$CONTAINER_COMMAND" >/dev/null
trap 'remove_container "$container"' EXIT
wait_for_systemd "$container"

say "integration: provisioning it"
provision "$container"

say "integration: pytest tests/integration"
docker exec "$container" mkdir -p "$above"
docker cp "$CACHE/tree/ansible_collections" "$container:$above/" >/dev/null
docker exec --env "PYTHONPATH=$above" --env PYTHONDONTWRITEBYTECODE=1 \
  --workdir "$above/ansible_collections/matrix_ops/synapse_s3" "$container" \
  /opt/test-tools/venv/bin/pytest -p no:cacheprovider tests/integration "$@"
