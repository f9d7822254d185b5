# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the tests of all scenarios: the host, its disk and bucket, and playbooks run on it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest
import testinfra.utils.ansible_runner
from testinfra.host import Host

INVENTORY = os.environ["MOLECULE_INVENTORY_FILE"]
# A test chooses the verbosity of its playbooks; that of the surrounding molecule run does not apply.
NOT_PASSED_ON = ("ANSIBLE_VERBOSITY", "ANSIBLE_FORCE_COLOR")
testinfra_hosts = testinfra.utils.ansible_runner.AnsibleRunner(INVENTORY).get_hosts("synapse")


@dataclass(frozen=True)
class Play:
    """The result of a run of ansible-playbook."""

    status: int
    output: str

    @property
    def changed(self) -> int:
        return sum(int(word.split("=")[1]) for word in self.output.split() if word.startswith("changed="))


@dataclass(frozen=True)
class Homeserver:
    """The host under test, accessed through the tools of tests/homeserver."""

    host: Host
    facts: dict[str, Any]

    def tool(self, name: str, *arguments: str) -> str:
        command = ["/opt/test-tools/venv/bin/python", f"/opt/test-tools/homeserver/{name}", *arguments]
        return self.run(*command)

    def run(self, *command: str) -> str:
        result = self.host.run(shlex.join(command))
        assert result.rc == 0, result.stdout + result.stderr
        return result.stdout

    def files_below(self, folder: str) -> dict[str, int]:
        """Relative path -> size of every regular file."""
        listing = self.run("find", folder, "-type", "f", "-printf", "%P\\t%s\\n")
        return {path: int(size) for path, size in (line.split("\t") for line in listing.splitlines())}

    @property
    def disk(self) -> dict[str, int]:
        return self.files_below(self.facts["media_store_path"])

    @property
    def media(self) -> dict[str, int]:
        """The files that may be moved: media and thumbnails, without previews of URLs and the collection's own mark."""
        kinds = ("local_content/", "local_thumbnails/", "remote_content/", "remote_thumbnail/")
        return {path: size for path, size in self.disk.items() if path.startswith(kinds)}

    @property
    def bucket(self) -> dict[str, int]:
        return self.files_below(self.object_path(""))

    def object_path(self, key: str) -> str:
        """Return the path where the S3 server stores an object as a plain file."""
        return f"{self.facts['s3']['directory']}/{self.facts['s3']['bucket']}/{key}"


@pytest.fixture(scope="module")
def homeserver(host: Host) -> Homeserver:
    result = host.run("cat /opt/test-tools/homeserver/facts.json")
    assert result.rc == 0, result.stderr
    return Homeserver(host, json.loads(result.stdout))


@pytest.fixture(scope="session")
def play() -> Any:
    def run(playbook: str, *arguments: str) -> Play:
        """Run a playbook of the collection as an operator does; never raises, the caller checks the status."""
        command = ["ansible-playbook", "-i", INVENTORY, playbook, *arguments]
        environment = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
        pipe = subprocess.PIPE
        ended = subprocess.run(
            command, env=environment, text=True, stdout=pipe, stderr=subprocess.STDOUT, timeout=900, check=False
        )
        return Play(ended.returncode, ended.stdout)

    return run
