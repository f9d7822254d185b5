# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run tasks of a role on this host, for many cases in one play."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"
ROLE_NAMES = ("common", "migrate", "storage_provider")


class Cases:
    """Each case is one host of the play; the rescue block writes the failure message to a file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.messages = directory / "messages"
        self.messages.mkdir()

    def run(self, tasks: str, cases: dict[str, dict[str, Any]]) -> dict[str, str]:
        """Return the failure message of each case; cases that passed are left out."""
        said = {"content": "{{ ansible_failed_result.msg }}", "dest": f"{self.messages}/{{{{ inventory_hostname }}}}"}
        attempt = {
            "name": "Attempt",
            "block": [{"name": "Include", "ansible.builtin.include_tasks": str(ROLES / tasks)}],
            "rescue": [{"name": "Write the failure message", "ansible.builtin.copy": said}],
        }
        self.play([attempt], cases)
        return {path.name: path.read_text() for path in self.messages.iterdir()}

    def play(self, tasks: list[dict[str, Any]], hosts: dict[str, dict[str, Any]]) -> None:
        """Run the tasks with the defaults and variables of every role; every host is this machine."""
        defaults: dict[str, Any] = {}
        for role in ROLE_NAMES:
            defaults.update(yaml.safe_load((ROLES / role / "defaults" / "main.yml").read_text(encoding="utf-8")))
        play = {
            "hosts": "all",
            "gather_facts": False,
            "vars_files": [str(ROLES / role / "vars" / "main.yml") for role in ROLE_NAMES],
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "tasks": tasks,
        }
        # Where lookups in variables of the role search, as they do inside it.
        (self.directory / "files").symlink_to(ROLES / "storage_provider" / "files")
        (self.directory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": defaults}}))
        (self.directory / "play.yml").write_text(yaml.safe_dump([play]))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        # The tree that the tests run in, whose modules the tasks call.
        environment = {
            **os.environ,
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_COLLECTIONS_PATH": str(ROLES.parents[3]),
            "HOME": str(self.directory),
        }
        command = [program, "-i", "hosts.yml", "play.yml"]
        ended = subprocess.run(
            command, cwd=self.directory, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
