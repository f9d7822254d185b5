# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every command with which a service starts Synapse is parsed, or refused with the settings that help."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils import synapse_installation
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_service import (
    SynapseCommand,
    SynapseNotFoundError,
    command_of,
    find_unit,
    parse_command,
    refuse_container,
    runs_in_container,
    synapse_processes,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.systemd_unit import Unit

PYTHON = "/opt/x/bin/python"


def unit(*commands: str, **environment: str) -> Unit:
    return Unit("x.service", True, [command.split(" ") for command in commands], environment=environment)


def executable(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("words", "paths", "keys"),
    [
        ("-m synapse.app.homeserver -c A", ["A"], None),
        ("-m synapse.app.homeserver -c A --config-path=B --config-path C -cD", ["A", "B", "C", "D"], None),
        ("-msynapse.app.homeserver --config-path A", ["A"], None),
        ("-B -u -m synapse.app.homeserver -D -c A", ["A"], None),
        ("-m synapse.app.homeserver -Dc A", ["A"], None),
        ("-m synapse.app.homeserver --config-p A", ["A"], None),
        ("-m synapse.app.homeserver -c A --keys-directory=/k", ["A"], "/k"),
        ("-m synapse.app.homeserver -c A --config-directory /k", ["A"], "/k"),
        ("-m synapse.app.homeserver -c A -H example.org -n --report-stats yes --unknown", ["A"], None),
        ("-m synapse.app.homeserver", [], None),
    ],
)
def test_options_of_the_module_are_read(words: str, paths: list[str], keys: str | None) -> None:
    command = parse_command([PYTHON, *words.split(" ")], {})
    assert command is not None
    assert (command.python, command.config_paths, command.keys_directory) == (PYTHON, paths, keys)


@pytest.mark.parametrize(
    "wrapper",
    ["/usr/bin/nice -n 5", "/usr/bin/env A=b", "/usr/bin/authbind --deep", "/usr/bin/numactl --localalloc --"],
)
def test_a_wrapper_before_python_does_not_matter(wrapper: str) -> None:
    command = parse_command(
        [*wrapper.split(" "), "/opt/y/bin/python3.11", "-m", "synapse.app.homeserver", "-c", "A"], {}
    )
    assert command is not None
    assert command.python == "/opt/y/bin/python3.11"


def test_a_python_without_a_path_is_looked_up_on_the_services_path(tmp_path: Path) -> None:
    python = executable(tmp_path / "bin/python3", "")
    words = ["/usr/bin/env", "python3", "-m", "synapse.app.homeserver", "-c", "A"]
    command = parse_command(words, {"PATH": f"/nowhere:{tmp_path}/bin"})
    assert command is not None
    assert command.python == python
    with pytest.raises(ConfigurationError, match=r"starts python3, which is not on the search path.*_python"):
        parse_command(words, {"PATH": str(tmp_path / "empty")})


@pytest.mark.parametrize(
    ("head", "python"),
    [
        ("#!/opt/x/bin/python3.11\n", "/opt/x/bin/python3.11"),
        ("#! /opt/x/bin/python3 -E\n", "/opt/x/bin/python3"),
        ("#!/usr/bin/env /opt/x/bin/pypy3\n", "/opt/x/bin/pypy3"),
        ("#!/bin/sh\n'''exec' /opt/long/bin/python3 \"$0\" \"$@\"\n' '''\n", "/opt/long/bin/python3"),
        ("#!/bin/sh\n'''exec' \"/opt/my synapse/bin/python3\" \"$0\" \"$@\"\n' '''\n", "/opt/my synapse/bin/python3"),
    ],
)
@pytest.mark.parametrize(
    ("name", "arguments", "paths"),
    [
        ("synapse_homeserver", "-c A -c B", ["A", "B"]),
        ("synctl", "start A", ["A"]),
        ("synctl", "start", ["homeserver.yaml"]),
    ],
)
def test_the_python_of_a_script_is_in_its_first_line(
    tmp_path: Path, head: str, python: str, name: str, arguments: str, paths: list[str]
) -> None:
    script = executable(tmp_path / name, head + "import sys\n")
    command = parse_command([script, *arguments.split(" ")], {})
    assert command is not None
    assert (command.python, command.config_paths) == (python, paths)


def test_a_python_before_a_script_wins(tmp_path: Path) -> None:
    command = parse_command([PYTHON, str(tmp_path / "synapse_homeserver"), "-c", "A"], {})
    assert command is not None
    assert command.python == PYTHON


@pytest.mark.parametrize("content", ["\x7fELF", "#!/bin/bash\nexec something\n", ""])
def test_a_script_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    script = executable(tmp_path / "synapse_homeserver", content)
    with pytest.raises(ConfigurationError, match=r"names no Python\. Set synapse_s3_synapse_python"):
        parse_command([script, "-c", "A"], {})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        parse_command([str(tmp_path / "gone/synctl"), "start"], {})


def test_variables_in_the_command_are_filled_in() -> None:
    started = unit(f"{PYTHON} -m synapse.app.homeserver -c ${{MAIN}} $MORE", MAIN="/etc/a.yaml", MORE="-c /etc/conf.d")
    assert command_of(started).config_paths == ["/etc/a.yaml", "/etc/conf.d"]


def test_only_the_command_with_synapse_counts() -> None:
    assert command_of(unit("/bin/true", f"{PYTHON} -m synapse.app.homeserver -c A")).config_paths == ["A"]


@pytest.mark.parametrize(
    "command", ["/bin/true", "/opt/start-synapse.sh --token s3cret", "/x/y -m synapse.app.homeserver"]
)
def test_an_unknown_command_is_refused_without_being_shown(command: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        command_of(unit(command))
    for setting in ("synapse_s3_synapse_python", "synapse_s3_synapse_config_paths", "synapse_s3_synapse_user"):
        assert setting in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


def test_invalid_options_are_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        command_of(unit(f"{PYTHON} -m synapse.app.homeserver --config s3cret"))
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("command", "in_container"),
    [
        ("/usr/bin/docker run --rm matrixdotorg/synapse", True),
        ("/usr/bin/env docker start --attach matrix-synapse", True),
        ("/usr/bin/podman run synapse python -m synapse.app.homeserver", True),
        ("/bin/sh -c exec docker start matrix-synapse", True),
        ("/usr/bin/systemd-nspawn -D /x", True),
        (f"{PYTHON} -m synapse.app.homeserver -c /srv/docker", False),
        ("/opt/x/bin/synctl start /srv/podman", False),
    ],
)
def test_a_container_is_recognised_by_its_program(command: str, in_container: bool) -> None:
    assert runs_in_container(unit(command)) is in_container


def test_a_container_is_refused_with_the_settings() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        refuse_container(unit("/usr/bin/docker run -e TOKEN=s3cret x"))
    assert "container is not supported" in str(refusal.value)
    assert "synapse_s3_synapse_python, synapse_s3_synapse_config_paths and synapse_s3_synapse_user" in str(
        refusal.value
    )
    assert "s3cret" not in str(refusal.value)


class Systemd:
    """Responds to systemctl show for some services, in systemctl's format."""

    MASKED = "masked"

    def __init__(self, **commands: str) -> None:
        self.commands = {
            name.replace("__", "@").replace("_", "-") + ".service": text for name, text in commands.items()
        }

    def __call__(self, command: Sequence[str]) -> tuple[int, str, str]:
        if command[-1] == "*":
            return 0, "\n".join(map(self._show, self.commands)), ""
        return 0, self._show(command[-1]), ""

    def _show(self, name: str) -> str:
        if name not in self.commands:
            return f"Id={name}\nLoadState=not-found\n"
        text = self.commands[name]
        if text == self.MASKED:
            return f"Id={name}\nLoadState=masked\nActiveState=inactive\n"
        command = (
            f"ExecStart={{ path={text.split(' ')[0]} ; argv[]={text} ; ignore_errors=no ; pid=0 }}\n" if text else ""
        )
        return f"{command}Id={name}\nLoadState=loaded\nActiveState=inactive\n"


MAIN = f"{PYTHON} -m synapse.app.homeserver -c A"
WORKER = f"{PYTHON} -m synapse.app.generic_worker -c A -c W"


@pytest.mark.parametrize(
    ("systemd", "found"),
    [
        (Systemd(matrix_synapse=MAIN, synapse=MAIN, other=MAIN), "matrix-synapse.service"),
        (Systemd(synapse=MAIN, other=MAIN), "synapse.service"),
        (Systemd(matrix_synapse="", synapse=MAIN), "synapse.service"),
        (Systemd(a="/bin/true", chat=MAIN), "chat.service"),
        (Systemd(chat="/opt/v/bin/synapse_homeserver -c A"), "chat.service"),
        (Systemd(chat=MAIN, worker__1=WORKER, w2="/opt/matrix_synapse/bin/synapse_worker -c A"), "chat.service"),
        (Systemd(chat="/srv/matrix_synapse/bin/synctl start"), "chat.service"),
        (Systemd(a="/bin/true"), None),
        (Systemd(worker=WORKER), None),
    ],
)
def test_the_service_is_found(systemd: Systemd, found: str | None) -> None:
    service = find_unit(systemd, "")
    assert (service.name if service else None) == found


def test_two_services_with_a_main_process_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"one.service, two.service.*synapse_s3_synapse_service"):
        find_unit(Systemd(one=MAIN, two=MAIN), None)


def test_a_named_service_is_used_or_refused() -> None:
    systemd = Systemd(one=MAIN, two=MAIN)
    for name in ("two", "two.service"):
        service = find_unit(systemd, name)
        assert service is not None
        assert service.name == "two.service"
    with pytest.raises(SynapseNotFoundError, match=r"no service three.*synapse_s3_synapse_service"):
        find_unit(systemd, "three")


@pytest.mark.parametrize("name", ["chat", "chat.service"])
def test_a_masked_service_exists_but_cannot_be_read(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is masked.*systemctl unmask") as refusal:
        find_unit(Systemd(chat=Systemd.MASKED), name)
    assert not isinstance(refusal.value, SynapseNotFoundError)


def test_a_masked_service_is_passed_over_for_one_that_is_not() -> None:
    found = find_unit(Systemd(matrix_synapse=Systemd.MASKED, chat=MAIN), "")
    assert found is not None
    assert found.name == "chat.service"


def test_no_synapse_is_distinguished_from_a_masked_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(synapse_installation, "PACKAGED", SynapseCommand(str(tmp_path / "none"), [], None))
    with pytest.raises(SynapseNotFoundError, match="No Synapse was found"):
        synapse_installation.installation(Systemd(), synapse_installation.Wanted())
    with pytest.raises(ConfigurationError, match=r"matrix-synapse\.service is masked") as refusal:
        synapse_installation.installation(Systemd(matrix_synapse=Systemd.MASKED), synapse_installation.Wanted())
    assert not isinstance(refusal.value, SynapseNotFoundError)


def test_every_process_of_synapse_is_found_by_its_python_and_its_files() -> None:
    systemd = Systemd(
        chat=MAIN,
        worker__1="/opt/y/bin/python -m synapse.app.generic_worker -c /etc/a.yaml -c W",
        script="/opt/z/bin/python /opt/z/bin/synapse_worker -c /etc/z.yaml",
        boxed="/usr/bin/docker run synapse python -m synapse.app.homeserver",
        odd="/opt/matrix_synapse/start.sh",
    )
    assert synapse_processes(systemd) == [
        SynapseCommand(PYTHON, ["/A"], None),
        SynapseCommand("/opt/z/bin/python", ["/etc/z.yaml"], None),
        SynapseCommand("/opt/y/bin/python", ["/etc/a.yaml", "/W"], None),
    ]
