# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles are told of a host, for paths, records, Pythons, times and units as they may be."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils import host_facts
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.systemd_unit import Run


def run(command: Sequence[str]) -> tuple[int, str, str]:
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, check=False)
    except OSError as error:
        return 127, "", str(error.strerror)
    return done.returncode, done.stdout, done.stderr


def answers(status: int, output: str, error: str = "") -> Run:
    return lambda dummy: (status, output, error)


def test_a_path_is_told_with_what_is_behind_its_links(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "link").symlink_to("file")
    facts = host_facts.path_facts(str(tmp_path / "link"))
    assert (facts["exists"], facts["is_file"], facts["is_directory"], facts["mode"]) == (True, True, False, "0640")
    assert facts["is_world_readable"] is False
    assert facts["real_path"] == str((tmp_path / "file").resolve())
    missing = host_facts.path_facts(str(tmp_path / "none"))
    assert not any(missing[name] for name in ("exists", "is_file", "is_directory", "is_world_readable"))
    assert missing["real_path"] == str(tmp_path.resolve() / "none")
    assert host_facts.checksum(str(tmp_path / "none")) == ""
    assert host_facts.checksum(str(tmp_path / "file")).startswith("2d711642")


def test_a_damaged_record_is_refused_and_a_missing_one_is_none(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    assert host_facts.record(str(path)) is None
    path.write_text('{"a": 1}')
    assert host_facts.record(str(path)) == {"a": 1}
    for damaged in ("[]", "{", ""):
        path.write_text(damaged)
        with pytest.raises(ConfigurationError, match="damaged"):
            host_facts.record(str(path))


def test_a_python_is_told_with_its_packages() -> None:
    facts = host_facts.python_facts(run, sys.executable)
    assert facts["error"] is None
    assert facts["version"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert "pytest" in facts["packages"]
    assert all(name == host_facts.canonical(name) for name in facts["packages"])
    assert facts["owner"]


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false", "/bin/true"])
def test_what_is_no_python_is_told_with_the_reason(python: str) -> None:
    facts = host_facts.python_facts(run, python)
    assert facts["error"]
    assert (facts["version"], facts["packages"]) == ("", {})


def test_the_first_of_two_packages_of_one_name_counts() -> None:
    output = '{"version": "3.11", "packages": {"Jaraco.Text": "2", "jaraco_text": "1"}, "packages_directory": "/"}\n'
    assert host_facts.python_facts(answers(0, output), "python")["packages"] == {"jaraco-text": "2"}


def test_a_time_is_valid_and_due_or_says_why_not() -> None:
    assert host_facts.time_facts(answers(0, "Next elapse: Mon"), "calendar", "daily")["is_due"]
    assert not host_facts.time_facts(answers(0, "    Next elapse: never"), "calendar", "2001-01-01")["is_due"]
    refused = host_facts.time_facts(answers(1, "", "Failed to parse calendar specification\n"), "calendar", "never")
    assert (refused["valid"], refused["message"]) == (False, "Failed to parse calendar specification")


def test_the_states_of_units_and_those_that_have_changed_are_named() -> None:
    service = "Id=a.service\nActiveState=inactive\nUnitFileState=static\nNeedDaemonReload=no\n"
    output = f"{service}\nId=a.timer\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=yes\n"
    facts = host_facts.unit_facts(answers(0, output), ["a.service", "a.timer"])
    assert facts["units_to_reload"] == ["a.timer"]
    assert facts["units"]["a.service"] == {"active_state": "inactive", "unit_file_state": "static"}
    assert facts["units"]["a.timer"] == {"active_state": "active", "unit_file_state": "enabled"}
    nothing: dict[str, object] = {"units": {}, "units_to_reload": []}
    assert host_facts.unit_facts(answers(127, ""), ["a.service"]) == nothing
    assert host_facts.unit_facts(answers(0, output), []) == nothing


def test_what_a_user_cannot_do_is_named(tmp_path: Path) -> None:
    # The test user runs the commands as itself: what comes before "--" is for root alone.
    user = host_facts.User("synapse", "synapse", lambda command: run(command[list(command).index("--") + 1 :]))
    (tmp_path / "file").touch()
    paths = [str(tmp_path / "file"), str(tmp_path / "none")]
    assert user.unreadable(paths) == paths[1:]
    assert user.unwritable([str(tmp_path), *paths]) == paths
    assert user.unreadable([]) == []
    assert user.import_error(sys.executable, "json") is None
    assert "no_such_module" in (user.import_error(sys.executable, "no_such_module") or "")
    with pytest.raises(ConfigurationError, match="synapse_s3_synapse_user"):
        host_facts.User("nobody", "none", answers(1, "", "setpriv: failed")).unreadable(paths)
