# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which containers are refused, what is kept of one that does not run, and how Synapse's process in it is found."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container import (
    installation,
    interpreter,
    process,
    record,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container.engine import Container, Mount
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container.process import SynapseProcess
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_service import SynapseCommand

CONTAINER = Container(
    engine="docker",
    name="synapse",
    image="synapse:v1",
    image_id="sha256:ab",
    process_id=42,
    working_directory="/",
    networks=["matrix"],
    mounts=[Mount("/data", "/srv/synapse", "", True)],
)
SYNAPSE = SynapseProcess(SynapseCommand("python", ["/data/homeserver.yaml"], None), 991, 991, "/", "/")


def at(*paths: str) -> SynapseProcess:
    return replace(SYNAPSE, command=SynapseCommand("python", list(paths), None))


def test_a_configuration_on_a_mount_is_accepted() -> None:
    installation._refuse_unmounted(CONTAINER, SYNAPSE)


@pytest.mark.parametrize(
    ("paths", "remedy"),
    [
        (["/etc/synapse/homeserver.yaml"], "Mount the directory of the configuration from the host"),
        ([], "Start it with --config-path"),
    ],
)
def test_a_configuration_without_a_mount_is_refused(paths: list[str], remedy: str) -> None:
    with pytest.raises(ConfigurationError, match=remedy):
        installation._refuse_unmounted(CONTAINER, at(*paths))


def test_a_single_mounted_file_is_refused() -> None:
    file = Mount("/data/homeserver.yaml", "/srv/homeserver.yaml", "", True)
    with pytest.raises(ConfigurationError, match=r"cannot be replaced in one step\. Mount its directory"):
        installation._refuse_unmounted(replace(CONTAINER, mounts=[file]), SYNAPSE)


def test_a_container_without_a_unit_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="No systemd service on this host runs the container synapse"):
        installation._refuse_without_unit(CONTAINER)


def test_a_compose_project_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="belongs to a Compose project, which is not supported yet"):
        installation._refuse_without_unit(replace(CONTAINER, labels={"com.docker.compose.project": "matrix"}))


def others_shown(*lines: str) -> Any:
    """What the engine says of the other containers, whose first process is this one where the line says ME."""

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        names = [line.split()[0].lstrip("/") for line in lines]
        if command[1] == "ps":
            return 0, "\n".join(["synapse", *names]) + "\n", ""
        assert list(command[-len(names) :]) == sorted(names)
        return 1, "\n".join(lines).replace("ME", str(os.getpid())) + "\n", "Error: No such container: ended"

    return run


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ('/worker ME [{"Type":"bind","Source":"/srv/synapse","Destination":"/data"}]', True),
        # All of the host, as monitoring has it.
        ('/worker ME [{"Type":"bind","Source":"/","Destination":"/host"}]', True),
        ('/worker ME [{"Type":"bind","Source":"/srv/synapse-other","Destination":"/data"}]', False),
        ('/worker ME [{"Type":"tmpfs","Source":"","Destination":"/tmp"}]', False),
        ('/worker 0 [{"Type":"bind","Source":"/srv/synapse","Destination":"/data"}]', False),
    ],
)
def test_workers_in_other_containers_are_refused(monkeypatch: pytest.MonkeyPatch, line: str, refused: bool) -> None:
    monkeypatch.setattr(installation, "runs_worker", lambda process_id: process_id == os.getpid())
    raises: Any = pytest.raises(ConfigurationError, match=r"containers worker and read.*provider_enabled to false")
    with raises if refused else nullcontext():
        installation._refuse_workers(others_shown(line), CONTAINER, SYNAPSE)


def test_a_container_without_others_has_no_workers() -> None:
    installation._refuse_workers(lambda command: (0, "synapse\n", ""), CONTAINER, SYNAPSE)


def test_a_container_that_is_gone_is_known_from_the_run_before(tmp_path: Path) -> None:
    record.save(tmp_path, CONTAINER, SYNAPSE)
    assert record.load(tmp_path) == (CONTAINER, SYNAPSE)
    assert (tmp_path / record.NAME).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", [None, "", "{}", '{"container": {"mounts": [{"old": 1}]}}'])
def test_a_record_that_is_missing_or_unknown_is_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / record.NAME).write_text(text)
    assert record.load(tmp_path) is None


def test_a_container_that_does_not_run_names_the_remedy() -> None:
    with pytest.raises(ConfigurationError, match=r"does not run.*Start its service"):
        process.synapse_process("synapse", 0, "/")


def test_a_container_without_synapse_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="No process in the container synapse is Synapse's main process"):
        process.synapse_process("synapse", os.getpid(), "/")


def test_synapse_is_found_below_a_wrapper() -> None:
    """A shell that has Synapse's command as its child, as with an init in the container."""
    script = 'import time; print("ready", flush=True); time.sleep(30)'
    words = ["-c", script, "-m", "synapse.app.homeserver", "--config-path", "homeserver.yaml"]
    wrapper = ["/bin/sh", "-c", 'python3 "$@" & wait', "sh", *words]
    with subprocess.Popen(wrapper, stdout=subprocess.PIPE, start_new_session=True) as started:
        assert started.stdout is not None
        try:
            started.stdout.readline()
            found = process.synapse_process("synapse", started.pid, "/data")
        finally:
            os.killpg(started.pid, 9)
    assert found.command == SynapseCommand("python3", ["/data/homeserver.yaml"], None)
    assert (found.uid, found.gid, found.working_directory) == (os.geteuid(), os.getegid(), "/data")


def test_the_program_is_written_once_and_is_valid_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "DIRECTORY", tmp_path)
    container = replace(CONTAINER, name="my/synapse", networks=["matrix", "proxy net"])
    path = interpreter.write_python(container, "/usr/bin/python", "sha256:ab", ["/etc/synapse s3"])
    assert path == str(tmp_path / "synapse-s3-my-synapse" / "python")
    assert os.access(path, os.X_OK)
    subprocess.run(["/bin/sh", "-n", path], check=True)
    assert [file.name for file in (tmp_path / "synapse-s3-my-synapse").iterdir()] == ["python"]
