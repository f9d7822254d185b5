# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role turns the operator's settings into what the engines accept, and each host gets its own shard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.settings import (
    OffloadSettings,
    Shard,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.config import SECTIONS

ROLES = Path(__file__).resolve().parents[2] / "roles"
SETTING_ROLES = ("common", "migrate")
# Not in alphabetical order, so that sorting by name would show.
HOSTS = ("media-2", "media-10", "media-1")


class ThreeHosts:
    """An inventory of three hosts; returns the configuration file of each."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def settings(self, **values: Any) -> dict[str, dict[str, Any]]:
        reached = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {host: dict(reached) for host in HOSTS}
        self._write("hosts.yml", {"storage": {"hosts": hosts}})
        facts = {"working_directory": "/var/lib/synapse", "config_paths": ["/etc/homeserver.yaml"], "user": "synapse"}
        found = {"__synapse_s3_synapse": facts, "__synapse_s3_media_path": "/media", "synapse_s3_bucket": "b"}
        self._write("given.yml", {**found, **{f"synapse_s3_{name}": value for name, value in values.items()}})
        told = {
            "content": "{{ __synapse_s3_migrate_settings | to_json }}",
            "dest": f"{self._directory}/{{{{ inventory_hostname }}}}.json",
        }
        files = [str(ROLES / role / part / "main.yml") for role in SETTING_ROLES for part in ("defaults", "vars")]
        play = {
            "hosts": "all",
            "gather_facts": False,
            "vars": {"role_path": str(ROLES / "migrate")},
            "vars_files": [*files, str(self._directory / "given.yml")],
            "tasks": [{"name": "Render the settings", "ansible.builtin.copy": told}],
        }
        self._write("play.yml", [play])
        self._run("ansible-playbook", "-i", "hosts.yml", "play.yml")
        return {host: json.loads((self._directory / f"{host}.json").read_text()) for host in HOSTS}

    def _write(self, name: str, content: Any) -> None:
        (self._directory / name).write_text(yaml.safe_dump(content))

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        environment = {**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false", "HOME": str(self._directory)}
        ended = subprocess.run(
            command, cwd=self._directory, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture
def hosts(tmp_path: Path) -> ThreeHosts:
    return ThreeHosts(tmp_path)


def test_the_defaults_equal_those_of_the_engine(hosts: ThreeHosts) -> None:
    told = hosts.settings()["media-1"]
    assert set(told) <= set(SECTIONS)
    section = told["offload"]
    taken = OffloadSettings.from_mapping(section, "the role's configuration")
    assert taken == OffloadSettings(state_dir="/var/lib/synapse-s3")
    assert told["synapse_configs"] == [["/etc/homeserver.yaml"]]
    # Used by the commands that an operator runs by hand in the same directory.
    assert told["migrate"] == {"state_dir": section["state_dir"]}


def test_each_setting_reaches_the_engine_and_each_host_gets_its_own_shard(hosts: ThreeHosts) -> None:
    told = hosts.settings(
        migrate_older_than="2w",
        migrate_grace="1h",
        migrate_delete_local=False,
        migrate_provider_check=False,
        migrate_worker_configs=[["/etc/homeserver.yaml", "/etc/media.yaml"]],
        migrate_concurrency=256,
        migrate_bandwidth_limit="10M",
        migrate_verify="size",
        migrate_metrics_file="/var/lib/metrics/synapse-s3.prom",
        migrate_state_dir="/var/lib/elsewhere",
        migrate_shard_group="storage",
        storage_provider_store_remote=False,
    )
    taken = {host: OffloadSettings.from_mapping(told[host]["offload"], "the configuration") for host in HOSTS}
    assert taken["media-1"] == OffloadSettings(
        state_dir="/var/lib/elsewhere",
        older_than=timedelta(weeks=2),
        grace=timedelta(hours=1),
        delete_local=False,
        provider_check=False,
        concurrency=256,
        bandwidth_limit=10 * 1024**2,
        store_remote=False,
        verify="size",
        metrics_file="/var/lib/metrics/synapse-s3.prom",
        shard=Shard(1, 3),
    )
    processes = [["/etc/homeserver.yaml"], ["/etc/homeserver.yaml", "/etc/media.yaml"]]
    assert told["media-1"]["synapse_configs"] == processes
    assert [taken[host].shard for host in sorted(HOSTS)] == [Shard(1, 3), Shard(2, 3), Shard(3, 3)]


def test_the_limits_of_the_disk_reach_the_engine(hosts: ThreeHosts) -> None:
    limits = {"migrate_local_cache_size": "50G", "migrate_min_free": 4096, "migrate_min_bucket_age": "7d"}
    section = hosts.settings(**limits)["media-1"]["offload"]
    assert OffloadSettings.from_mapping(section, "the configuration") == OffloadSettings(
        state_dir="/var/lib/synapse-s3",
        local_cache_size=50 * 1024**3,
        min_free=4096,
        min_bucket_age=timedelta(days=7),
    )


def test_upstreams_script_gets_only_its_own_section(hosts: ThreeHosts) -> None:
    told = hosts.settings(migrate_engine="s3_media_upload", migrate_older_than="1m")["media-1"]
    assert "offload" not in told
    assert told["migrate"] == {
        "older_than": "1m",
        "delete_local": True,
        "provider_check": True,
        "state_dir": "/var/lib/synapse-s3",
    }
