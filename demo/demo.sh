#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Shows the whole job with real programs: a homeserver with media on its disk, the collection, the media in the bucket;
# every picture is downloaded again and compared. It uses inventory.example/ unchanged, as an operator would.
set -euo pipefail
# shellcheck source=dev/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../dev/common.sh"
# shellcheck source=dev/container.sh
source "$ROOT/dev/container.sh"
# shellcheck source=demo/ports.sh
source "$ROOT/demo/ports.sh"
cd "$ROOT"

# The host in inventory.example/hosts.yml.
container=synapse-s3-demo
results=$CACHE/demo
mkdir -p "$results"

media() { docker exec "$container" /opt/test-tools/venv/bin/python /opt/test-tools/homeserver/media.py "$@"; }
playbook() { ansible-playbook --inventory inventory.example "matrix_ops.synapse_s3.$1"; }

remove_container "$container"
synapse_port=$(free_port 8008)
s3_port=$(free_port 9000)
say "demo: starting the container $container (Synapse on 127.0.0.1:$synapse_port, S3 server on 127.0.0.1:$s3_port)"
docker run --detach --name "$container" --hostname "$container" "${CONTAINER_OPTIONS[@]}" \
  --publish "127.0.0.1:$synapse_port:8008" --publish "127.0.0.1:$s3_port:9000" \
  synapse-s3-test/homeserver:latest "$CONTAINER_COMMAND" >/dev/null
wait_for_systemd "$container"

say "demo: setting up PostgreSQL, Synapse, an S3 server and two users"
# Connections to published ports do not come from the container's loopback.
provision "$container" --extra-vars '{"homeserver_bind_addresses": ["0.0.0.0"], "s3_server_address": "0.0.0.0"}'

say "demo: alice uploads pictures and requests their thumbnails; pictures from other homeservers are added; all unused for a month"
media upload /root/media.json --count 15 --remote 10 --age-days 30 >"$results/uploaded.json"
media count >"$results/before.json"

say "demo: ansible-playbook -i inventory.example matrix_ops.synapse_s3.site"
playbook site
say "demo: alice uploads two more pictures, which Synapse now also stores in the bucket"
media upload /root/media.json --count 2 >>"$results/uploaded.json"
media count >"$results/site.json"

say "demo: ansible-playbook -i inventory.example matrix_ops.synapse_s3.migrate"
playbook migrate
media count >"$results/migrated.json"

say "demo: every picture and thumbnail is downloaded again through Synapse and compared by sha256"
status=0
media check /root/media.json >"$results/check.json" || status=$?

printf '\n'
python demo/counts_table.py "before=$results/before.json" "after site.yml, and two new pictures=$results/site.json" \
  "after the migration=$results/migrated.json"
printf '\n'
python demo/check_result.py "$results/check.json" "$results/before.json" "$results/migrated.json" || status=1

cat <<TEXT

Look around:
  Synapse          http://127.0.0.1:$synapse_port   alice / not-a-secret-alice, operator (admin) / not-a-secret-operator
  S3 server        http://127.0.0.1:$s3_port   key synapse-media, secret not-a-secret-only-for-tests, bucket synapse-media
  the host         docker exec --interactive --tty $container bash
                     systemctl list-timers synapse-s3-migrate.timer
                     synapse-s3-migrate --dry-run
                     journalctl --unit synapse-s3-migrate.service
  run it again     export PATH=$ROOT/.venv/bin:\$PATH ANSIBLE_COLLECTIONS_PATH=$ANSIBLE_COLLECTIONS_PATH
                     ansible-playbook -i inventory.example matrix_ops.synapse_s3.site --check --diff
Stop it:           make demo-stop
TEXT
exit "$status"
