# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second Synapse on the host, with the same virtualenv, gets units, commands and directories of its own."""

from __future__ import annotations

import json

import pytest

CONFIG = "/etc/blue/homeserver.yaml"
STATE = "/var/lib/blue"
BLUE = json.dumps(
    {
        "synapse_s3_instance": "blue",
        "synapse_s3_synapse_service": "blue.service",
        "synapse_s3_prefix": "blue",
        "synapse_s3_migrate_metrics_file": "",
    }
)
CONFIRMED = '{"synapse_s3_uninstall_confirm": true}'
OURS = [
    "/etc/systemd/system/synapse-s3-migrate-blue.service",
    "/etc/systemd/system/synapse-s3-migrate-blue.timer",
    "/usr/local/bin/synapse-s3-migrate-blue",
    "/usr/local/bin/synapse-s3-shell-blue",
    "/usr/local/bin/synapse-s3-blue",
    "/etc/synapse-s3-blue/environment",
    "/opt/synapse-s3-blue/lib",
    "/var/lib/synapse-s3-blue",
]
OF_THE_FIRST = ("synapse-s3", "/etc/matrix-synapse", "/opt/synapse/")


def snapshot(homeserver):
    """The files of the first instance on the host, and Synapse's own virtualenv."""
    found = json.loads(homeserver.run("/usr/bin/python3", "/opt/test-tools/snapshot.py"))
    first = {path: now for path, now in found.items() if any(part in path for part in OF_THE_FIRST)}
    return {path: now for path, now in first.items() if "synapse-s3-blue" not in path and "-blue" not in path}


@pytest.fixture(scope="module")
def blue(homeserver):
    """A small Synapse with SQLite, as an operator would add one."""
    python = homeserver.facts["python"]
    listener = {
        "port": 8018,
        "type": "http",
        "bind_addresses": ["127.0.0.1"],
        "resources": [{"names": ["client"]}],
    }
    config = {
        "server_name": "blue.example.org",
        "listeners": [listener],
        "database": {"name": "sqlite3", "args": {"database": f"{STATE}/homeserver.db"}},
        "media_store_path": f"{STATE}/media_store",
        "signing_key_path": f"{STATE}/signing.key",
        "pid_file": f"{STATE}/homeserver.pid",
        "report_stats": False,
        "trusted_key_servers": [],
    }
    command = f"{python} -m synapse.app.homeserver -c {CONFIG}"
    unit = f"[Service]\nType=notify\nUser=synapse\nWorkingDirectory={STATE}\nExecStart={command}\n"
    homeserver.run("install", "-d", "-o", "synapse", "-g", "synapse", "/etc/blue", STATE, f"{STATE}/media_store")
    # A JSON value is valid YAML.
    lines = "\n".join(f"{key}: {json.dumps(value)}" for key, value in config.items())
    homeserver.run("sh", "-c", f"printf '%s\\n' '{lines}' > {CONFIG}")
    homeserver.run("sh", "-c", f"printf '%s' '{unit}' > /etc/systemd/system/blue.service")
    generate = [python, "-m", "synapse.app.homeserver", "-c", CONFIG, "--generate-keys"]
    homeserver.run("runuser", "-u", "synapse", "--", "sh", "-c", f"cd {STATE} && {' '.join(generate)}")
    homeserver.run("systemctl", "daemon-reload")
    homeserver.run("systemctl", "start", "blue.service")
    yield
    homeserver.run("systemctl", "stop", "blue.service")
    homeserver.run("rm", "-r", "/etc/blue", STATE, "/etc/systemd/system/blue.service")
    homeserver.run("systemctl", "daemon-reload")


def test_two_instances_work_side_by_side_and_are_removed_separately(play, homeserver, blue):
    first = snapshot(homeserver)
    on = play("matrix_ops.synapse_s3.site", "-e", BLUE)
    assert on.status == 0, on.output[-3000:]
    assert [path for path in OURS if not homeserver.host.file(path).exists] == []
    assert snapshot(homeserver) == first
    assert "bucket: synapse-media" in homeserver.host.file("/etc/synapse-s3-blue/migrate.yml").content_string
    homeserver.run("synapse-s3-migrate-blue", "--dry-run")
    homeserver.run("systemctl", "is-active", "synapse-s3-migrate-blue.timer")

    off = play("matrix_ops.synapse_s3.uninstall", "-e", BLUE, "-e", CONFIRMED)
    assert off.status == 0, off.output[-3000:]
    assert [path for path in OURS if homeserver.host.file(path).exists] == []
    assert "synapse_s3" not in homeserver.host.file(CONFIG).content_string
    assert snapshot(homeserver) == first
    homeserver.run(homeserver.facts["python"], "-c", "import s3_storage_provider")
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")
