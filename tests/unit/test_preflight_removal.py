# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A removal is refused if a Synapse that was not found would keep the entry but lose the package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from role_cases import ROLES

BLOCK = """media_storage_providers:
# BEGIN ANSIBLE MANAGED BLOCK matrix_ops.synapse_s3
- module: s3_storage_provider.S3StorageProviderBackend
  config: {bucket: media}
# END ANSIBLE MANAGED BLOCK matrix_ops.synapse_s3
"""


def removal(directory: Path, python: str, text: str) -> subprocess.CompletedProcess[str]:
    """Run the role's check on a host where no Synapse is found, and where one was installed into that Python."""
    config = directory / "homeserver.yaml"
    config.write_text(text)
    record = {"service": "synapse.service", "python": python, "config_paths": [str(config)]}
    (directory / "synapse.json").write_text(json.dumps(record))
    (directory / "provider-packages.json").write_text(json.dumps({"python": python, "packages": ["boto3"]}))
    variables: dict[str, Any] = {
        "synapse_s3_config_dir": str(directory),
        "synapse_s3_instance": "",
        "synapse_s3_synapse_config_paths": [],
        "__synapse_s3_synapse": {},
        "__synapse_s3_homeserver": {},
        "__synapse_s3_found": {
            "synapse": {},
            "not_found_reason": "systemd on this host has no service synapse.",
            "host_python": sys.executable,
        },
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(ROLES / "common/vars/main.yml")],
        "vars": variables,
        "tasks": [
            {
                "name": "Look",
                "matrix_ops.synapse_s3.synapse_preflight_info": {"records": "{{ __synapse_s3_provider_records }}"},
                "register": "__synapse_s3_host",
            },
            {"name": "Check", "ansible.builtin.include_tasks": str(ROLES / "common/tasks/preflight_removal.yml")},
        ],
    }
    (directory / "play.yml").write_text(yaml.safe_dump([play]))
    above = str(ROLES.parents[3])
    environment = {**os.environ, "HOME": str(directory), "ANSIBLE_COLLECTIONS_PATH": above}
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    return subprocess.run(
        [program, "-i", "host,", "play.yml"],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["python", "gone"])
def test_an_entry_that_stays_is_refused_while_its_python_exists(tmp_path: Path, name: str) -> None:
    (tmp_path / "python").touch()
    ended = removal(tmp_path, str(tmp_path / name), BLOCK)
    assert (ended.returncode != 0) is (name == "python"), ended.stdout + ended.stderr
    if name == "python":
        said = " ".join(ended.stdout.split())
        assert f"Nothing was removed, because {tmp_path}/homeserver.yaml names the storage provider" in said
        assert "no service synapse" in said


def test_a_configuration_without_an_entry_does_not_block_the_removal(tmp_path: Path) -> None:
    (tmp_path / "python").touch()
    ended = removal(tmp_path, str(tmp_path / "python"), "server_name: example.org\n")
    assert ended.returncode == 0, ended.stdout + ended.stderr
