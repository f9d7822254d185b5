#!/bin/sh
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# The entry point of the test image. Without arguments it starts Synapse as Synapse's official image does: as root it becomes the
# user $UID, and the configuration is $SYNAPSE_CONFIG_PATH. `run` starts Python as the user of the container, as the official image does too.
# `postgresql` and `s3` start the servers beside it.
set -eu

case ${1-} in
  postgresql)
    programs=$(echo /usr/lib/postgresql/*/bin)
    data=/var/lib/postgresql/data
    chown postgres:postgres "$data"
    as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
    if [ ! -e "$data/PG_VERSION" ]; then
      as_postgres "$programs/initdb" --pgdata="$data" --encoding=UTF8 --locale=C >/dev/null
      echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
      # One statement a line: PostgreSQL alone, without a server, takes them so.
      printf '%s\n' "CREATE ROLE $POSTGRES_USER LOGIN PASSWORD '$POSTGRES_PASSWORD'" \
        "CREATE DATABASE $POSTGRES_DB OWNER $POSTGRES_USER" |
        as_postgres "$programs/postgres" --single -D "$data" postgres >/dev/null
    fi
    mkdir -p /var/run/postgresql
    chown postgres:postgres /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --clear-groups "$programs/postgres" -D "$data" -c listen_addresses='*'
    ;;
  s3)
    shift
    exec /opt/test-tools/venv/bin/rclone serve s3 --config "" --dir-cache-time 20ms "$@"
    ;;
  run)
    shift
    exec python "$@"
    ;;
  *)
    # Both come from the environment of the container.
    # shellcheck disable=SC3028
    exec setpriv --reuid="${UID:-991}" --regid="${GID:-991}" --clear-groups \
      python -m synapse.app.homeserver --config-path "${SYNAPSE_CONFIG_PATH:-/data/homeserver.yaml}" "$@"
    ;;
esac
