# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which services belong to one Synapse, what each says about media, and what keeps them from S3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.process_settings import (
    process_problems,
    process_settings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_processes import (
    Process,
    main_of,
    processes,
    workers_alone,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.systemd_unit import unit_named

PYTHON = "/opt/x/bin/python"
UNIT = "Id={}\nLoadState=loaded\nActiveState={}\nUser=synapse\nWorkingDirectory=/srv\nExecStart={}\n"


class Systemd:
    """Responds to systemctl show, in systemctl's format."""

    def __init__(self, **commands: str) -> None:
        self.states: dict[str, str] = {}
        self.commands = {f"{name.replace('__', '@')}.service": command for name, command in commands.items()}

    def __call__(self, command: Any) -> tuple[int, str, str]:
        names = list(self.commands) if command[-1] == "*" else [command[-1]]
        return 0, "\n".join(map(self._show, names)), ""

    def _show(self, name: str) -> str:
        if name not in self.commands:
            return f"Id={name}\nLoadState=not-found\n"
        words = self.commands[name].split(" ")
        shown = f"{{ path={words[0]} ; argv[]={' '.join(words)} ; ignore_errors=no ; }}"
        return UNIT.format(name, self.states.get(name, "active"), shown)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "homeserver.yaml").write_text("server_name: example.org\nenable_media_repo: false\n")
    for name in ("media1", "media2"):
        (tmp_path / f"{name}.yaml").write_text(
            f"worker_app: synapse.app.media_repository\nworker_name: {name}\n"
            "worker_listeners: [{type: http, port: 8085, resources: [{names: [media]}]}]\n"
        )
    (tmp_path / "generic.yaml").write_text(
        "worker_app: synapse.app.generic_worker\nworker_name: generic\n"
        "worker_listeners: [{type: http, port: 8083, resources: [{names: [client]}]}]\n"
    )
    return tmp_path


def main_process(files: Path) -> Process:
    paths = [str(files / "homeserver.yaml")]
    return Process("chat.service", False, True, False, False, PYTHON, paths, "/srv", str(files), "synapse", "synapse")


def worker(files: Path, name: str, python: str = PYTHON) -> str:
    return f"{python} -m synapse.app.generic_worker -c {files}/homeserver.yaml -c {files}/{name}.yaml"


def found(systemd: Systemd, files: Path, *named: str) -> list[dict[str, Any]]:
    units = [unit_named(systemd, name) for name in named]
    return processes(systemd, main_process(files), [unit for unit in units if unit])


def settings(systemd: Systemd, files: Path, *named: str) -> list[dict[str, Any]]:
    return [process_settings(process) for process in found(systemd, files, *named)]


def test_workers_are_found_by_a_file_that_they_share(files: Path) -> None:
    other = f"{PYTHON} -m synapse.app.generic_worker -c /etc/other.yaml -c {files}/media2.yaml"
    systemd = Systemd(chat=f"{PYTHON} -m synapse.app.homeserver -c {files}/homeserver.yaml", other=other)
    systemd.commands["worker@media1.service"] = worker(files, "media1")
    one, two = found(systemd, files)
    assert (one["service"], two["service"]) == ("chat.service", "worker@media1.service")
    assert (two["worker"], two["named"], two["active"], two["user"], two["group"]) == (
        True,
        False,
        True,
        "synapse",
        "synapse",
    )
    assert two["config_paths"] == [f"{files}/homeserver.yaml", f"{files}/media1.yaml"]
    assert two["keys_directory"] == str(files)


def test_a_second_main_process_is_never_taken_for_a_worker(files: Path) -> None:
    blue = f"{PYTHON} -m synapse.app.homeserver -c {files}/homeserver.yaml"
    assert [process["service"] for process in found(Systemd(blue=blue), files)] == ["chat.service"]


def test_the_unit_of_a_removed_worker_is_left_out(files: Path) -> None:
    (files / "media1.yaml").unlink()
    assert len(found(Systemd(worker__media1=worker(files, "media1")), files)) == 1


def test_a_worker_with_files_of_its_own_is_named(files: Path) -> None:
    (files / "whole.yaml").write_text("server_name: example.org\n")
    systemd = Systemd(worker__whole=f"{PYTHON} -m synapse.app.media_repository -c {files}/whole.yaml")
    assert len(found(systemd, files)) == 1
    assert [process["named"] for process in found(systemd, files, "worker@whole")] == [False, True]


def test_a_name_with_a_dot_is_no_ending(files: Path) -> None:
    systemd = Systemd(**{"worker__media.one": worker(files, "media1")})
    unit = unit_named(systemd, "worker@media.one")
    assert unit is not None and unit.name == "worker@media.one.service"


def test_the_main_process_comes_first_and_a_host_may_have_workers_alone(files: Path) -> None:
    systemd = Systemd(worker__media1=worker(files, "media1"), chat=f"{PYTHON} -m synapse.app.homeserver -c A")
    units = [unit for unit in (unit_named(systemd, name) for name in ("worker@media1", "chat")) if unit]
    assert main_of(units).name == "chat.service"
    assert main_of(units[:1]).name == "worker@media1.service"
    alone = workers_alone(Systemd(worker__media1=worker(files, "media1")))
    assert alone is not None and alone.name == "worker@media1.service"


def test_each_process_is_judged_by_its_own_files(files: Path) -> None:
    systemd = Systemd(worker__generic=worker(files, "generic"), worker__media1=worker(files, "media1"))
    main, generic, media = settings(systemd, files)
    assert [main["serves_media"], generic["serves_media"], media["serves_media"]] == [False, False, True]
    assert (main["worker_name"], media["worker_name"]) == (None, "media1")
    assert (media["url"], generic["url"]) == ("http://127.0.0.1:8085", "http://127.0.0.1:8083")
    assert media["media_store_path"] == "/srv/media_store"
    assert process_problems([main, generic, media]) == []


def test_one_process_must_serve_media(files: Path) -> None:
    systemd = Systemd(worker__generic=worker(files, "generic"))
    (problem,) = process_problems(settings(systemd, files))
    assert "chat.service, worker@generic.service" in problem and "synapse_s3_synapse_services" in problem


def test_a_stopped_worker_does_not_count_and_one_that_failed_does(files: Path) -> None:
    systemd = Systemd(worker__media1=worker(files, "media1"))
    systemd.states["worker@media1.service"] = "inactive"
    (problem,) = process_problems(settings(systemd, files))
    assert "systemctl start worker@media1.service" in problem
    systemd.states["worker@media1.service"] = "failed"
    assert process_problems(settings(systemd, files)) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("media_store_path: /elsewhere\n", "the same media_store_path"),
        ("enable_local_media_storage: false\n", "enable_local_media_storage"),
    ],
)
def test_what_sets_one_worker_apart_is_named(files: Path, line: str, said: str) -> None:
    with (files / "media2.yaml").open("a") as stream:
        stream.write(line)
    systemd = Systemd(worker__media1=worker(files, "media1"), worker__media2=worker(files, "media2"))
    (problem,) = process_problems(settings(systemd, files))
    assert problem.startswith("worker@media2.service") and said in problem


def test_another_python_is_named(files: Path) -> None:
    systemd = Systemd(
        worker__media1=worker(files, "media1"), worker__media2=worker(files, "media2", "/opt/y/bin/python")
    )
    (problem,) = process_problems(settings(systemd, files))
    assert problem.startswith("worker@media2.service runs with /opt/y/bin/python")


def test_one_process_alone_is_left_to_the_other_rules(files: Path) -> None:
    assert process_problems(settings(Systemd(), files)) == []
