# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Output of systemctl, as systemd 252 printed it for real units, is parsed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.systemd_unit import (
    Unit,
    expand,
    full_environment,
    loaded_services,
    parse_environment_file,
    parse_unit,
    unit_named,
)

SHOWN = """\
ExecStart={ path=/usr/bin/python3 ; argv[]=/usr/bin/python3 -m synapse.app.homeserver -c /etc/x.yaml \
--config-path=${A} $PLAIN t1.service $$x it"s ; ignore_errors=yes ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; \
code=(null) ; status=0/0 }
Environment=A=b "C=d e" "F=g\\"h" G=/x/y PERC=100%
EnvironmentFiles=/etc/default/a.env (ignore_errors=yes)
EnvironmentFiles=/etc/default/b.env (ignore_errors=no)
WorkingDirectory=!/var/lib/nope
User=daemon
Group=
Id=t1.service
LoadState=loaded
ActiveState=active
FragmentPath=/etc/systemd/system/t1.service
"""
VARIABLES = ["--config-path=${A}", "$PLAIN", "t1.service", "$$x", 'it"s']
NOT_FOUND = "Environment=\nWorkingDirectory=\nUser=\nId=none.service\nLoadState=not-found\nActiveState=inactive\n"


def test_a_unit_is_read() -> None:
    unit = parse_unit(SHOWN)
    assert unit == Unit(
        name="t1.service",
        active=True,
        commands=[
            ["/usr/bin/python3", "-m", "synapse.app.homeserver", "-c", "/etc/x.yaml", *VARIABLES],
        ],
        user="daemon",
        group="",
        working_directory="/var/lib/nope",
        environment={"A": "b", "C": "d e", "F": 'g"h', "G": "/x/y", "PERC": "100%"},
        environment_files=[("/etc/default/a.env", True), ("/etc/default/b.env", False)],
    )
    assert "d e" not in repr(unit)
    assert "homeserver" not in repr(unit)


def test_the_program_is_the_path_and_not_the_first_argument() -> None:
    unit = parse_unit(
        "ExecStart={ path=/bin/sh ; argv[]=foo -c true ; ignore_errors=no ; start_time=[n/a] }\n"
        "ExecStart={ path=/bin/true ; argv[]=/bin/true two ; ignore_errors=no ; start_time=[n/a] }\n"
        "LoadState=loaded\nActiveState=inactive\nId=t2.service\nWorkingDirectory=~\n"
    )
    assert unit is not None
    assert unit.commands == [["/bin/sh", "-c", "true"], ["/bin/true", "two"]]
    assert (unit.active, unit.working_directory) == (False, "~")


def test_a_missing_unit_is_none() -> None:
    asked: list[Sequence[str]] = []

    def systemctl(command: Sequence[str]) -> tuple[int, str, str]:
        asked.append(command)
        return 0, NOT_FOUND, ""

    assert unit_named(systemctl, "none") is None
    assert asked[0][:2] == ["systemctl", "show"]
    assert asked[0][-2:] == ["--", "none.service"]
    assert unit_named(lambda _command: (1, "", "no systemd here"), "none") is None


def test_loaded_services_are_distinguished_from_others() -> None:
    shown = f"{SHOWN}\n{NOT_FOUND}\nExecStart={{ path=/bin/a ; x }}\nId=a.service\nLoadState=loaded\n"
    services = loaded_services(lambda _command: (0, shown, ""))
    assert sorted(services) == ["a.service", "t1.service"]
    assert "synapse.app.homeserver" in services["t1.service"]
    assert loaded_services(lambda _command: (1, "", "")) == {}


def test_variables_are_expanded_as_systemd_does() -> None:
    environment = {"ONE": "1", "WORDS": "a  b", "EMPTY": ""}
    words = ["-c${ONE}", "$WORDS", "${WORDS}", "$EMPTY", "${EMPTY}", "$$ONE", "$$", "x$ONE", "${NONE}y", "$NONE"]
    assert expand(words, environment) == ["-c1", "a", "b", "a  b", "", "$ONE", "$", "x$ONE", "y"]


def test_an_environment_file_is_read_as_systemd_does() -> None:
    text = "# c\n; c\nPLAIN=/etc/x\nQUOTED=\"a b\"\nSINGLE='a b'\nCONT=one\\\ntwo\n"
    text += ' SPACED = val\nESC="a\\"b"\nnothing\nX=\'\n'
    assert parse_environment_file(text) == {
        "PLAIN": "/etc/x",
        "QUOTED": "a b",
        "SINGLE": "a b",
        "CONT": "onetwo",
        "SPACED": "val",
        "ESC": 'a"b',
    }


def test_environment_files_win_and_a_required_one_must_exist(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("A=file\nB=file\n")
    (tmp_path / "b").write_text("B=last\n")
    present = [(str(tmp_path / "a"), False), (str(tmp_path / "none"), True), (str(tmp_path / "b"), True)]
    unit = Unit("x.service", True, [], environment={"A": "unit", "C": "unit"}, environment_files=present)
    assert full_environment(unit) == {"A": "file", "B": "last", "C": "unit"}
    with pytest.raises(ConfigurationError, match=r"none of x.service cannot be read"):
        full_environment(Unit("x.service", True, [], environment_files=[(str(tmp_path / "none"), False)]))
