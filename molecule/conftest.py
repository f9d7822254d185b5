# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the tests of all scenarios: the host, its disk and bucket, and playbooks run on it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import testinfra.utils.ansible_runner
import yaml
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
class HostPlay:
    """The result of a play for one of its hosts."""

    failed: int
    changed: int
    # What Ansible printed of the tasks that failed on this host.
    failures: str


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


@pytest.fixture(scope="session")
def play_cases(play: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    def run(playbook: str, cases: Mapping[str, Mapping[str, Any]], *arguments: str) -> dict[str, HostPlay]:
        """Run a playbook once for several cases: a case is the host under another name, with settings of its own.

        It is for plays that change nothing on the host, because the cases run at the same time.
        """
        names = {case: re.sub("[^a-z0-9]+", "-", case.lower()) for case in cases}
        assert len(set(names.values())) == len(cases)
        host = {"ansible_connection": "community.docker.docker", "ansible_host": testinfra_hosts[0]}
        hosts = {names[case]: {**host, **settings} for case, settings in cases.items()}
        inventory = tmp_path_factory.mktemp("cases") / "hosts.yml"
        inventory.write_text(yaml.safe_dump({"synapse": {"children": {"cases": {"hosts": hosts}}}}), encoding="utf-8")
        ended = play(playbook, "-i", str(inventory), "-e", "synapse_s3_hosts=cases", "--forks", "4", *arguments)
        assert "Traceback" not in ended.output
        return {case: _result_of(ended.output, name) for case, name in names.items()}

    return run


def _result_of(output: str, host: str) -> HostPlay:
    parts = re.split(r"^(?=\S+: \[|TASK |PLAY )", output, flags=re.MULTILINE)
    recap = re.search(rf"^{re.escape(host)} +: (.*)$", output, flags=re.MULTILINE)
    assert recap, output
    counts = {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap[1])}
    failures = "".join(part for part in parts if part.startswith((f"fatal: [{host}]", f"failed: [{host}]")))
    return HostPlay(counts["failed"], counts["changed"], failures)
