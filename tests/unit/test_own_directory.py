# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory of another program is refused with the reason, before its owner or mode is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.own_directory import OwnDirectory, problem
from role_cases import Cases

MARKS = ["location.json"]
# Then the name is all that is validated.
OFF = {"synapse_s3_storage_provider_enabled": False, "synapse_s3_migrate_enabled": False}


@pytest.fixture
def cases(tmp_path: Path) -> Cases:
    return Cases(tmp_path)


def test_a_directory_of_another_program_is_refused(tmp_path: Path) -> None:
    for name in ("theirs", "ours", "empty", "synapse/etc"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "theirs/passwords").touch()
    (tmp_path / "ours/location.json").touch()
    (tmp_path / "ours/note-of-the-operator").touch()
    (tmp_path / "file").touch()
    synapse = [
        f"{tmp_path}/synapse/",
        "/",
        "/opt/synapse/venv",
        f"{tmp_path}/synapse/etc",
        f"{tmp_path}/synapse/etc/homeserver.yaml",
        "/var/lib/media",
    ]
    paths = {
        "top": "/etc",
        "relative": "etc/synapse-s3",
        "dots": "/etc/synapse-s3/../ssh",
        "home": "/home/alice",
        "root": "/root",
        "theirs": f"{tmp_path}/theirs",
        "file": f"{tmp_path}/file",
        "configuration": f"{tmp_path}/synapse/etc",
        "media": "/var/lib",
        "virtualenv": "/opt/synapse",
        "ours": f"{tmp_path}/ours",
        "empty": f"{tmp_path}/empty",
        "missing": f"{tmp_path}/missing",
    }
    found = {name: problem(OwnDirectory("synapse_s3_config_dir", path, MARKS), synapse) for name, path in paths.items()}
    told = {name: words for name, words in found.items() if words is not None}
    assert set(paths) - set(told) == {"ours", "empty", "missing"}
    assert all("synapse_s3_config_dir" in words for words in told.values())
    assert all("eave synapse_s3_config_dir out" in words for words in told.values())
    assert "it holds passwords" in told["theirs"]
    assert "is no directory" in told["file"]
    assert f"is or contains {tmp_path}/synapse/etc, " in told["configuration"]
    assert "/opt/synapse/venv of Synapse" in told["virtualenv"]


def test_a_removal_keeps_a_directory_without_our_files(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/environment").touch()

    def removal(*removes: str) -> str | None:
        return problem(OwnDirectory("synapse_s3_config_dir", f"{tmp_path}/theirs", MARKS, removes), [])

    assert "it holds environment" in (removal("environment") or "")
    assert removal("location.json") is None


def test_marks_are_found_two_levels_deep(tmp_path: Path) -> None:
    (tmp_path / "theirs/lib/synapse_media").mkdir(parents=True)
    assert (
        problem(OwnDirectory("synapse_s3_migrate_install_dir", f"{tmp_path}/theirs", ["lib/synapse_media"]), []) is None
    )
    assert problem(OwnDirectory("synapse_s3_migrate_install_dir", f"{tmp_path}/theirs", ["venv"]), []) is not None


def test_the_name_of_an_instance_is_valid_in_paths(cases: Cases) -> None:
    names = {
        "none": "",
        "word": "blue",
        "hyphen": "blue-2",
        "path": "../x",
        "upper": "Blue",
        "end": "blue-",
        "long": "b" * 33,
        "space": "b c",
        "command": "migrate",
        "another command": "shell",
    }
    told = cases.run(
        "common/tasks/validate.yml", {key: {**OFF, "synapse_s3_instance": value} for key, value in names.items()}
    )
    assert set(names) - set(told) == {"none", "word", "hyphen"}
    assert all("synapse_s3_instance" in words for words in told.values())


def test_every_name_carries_the_instance(cases: Cases, tmp_path: Path) -> None:
    """Nothing made for one instance affects an instance of another name."""
    names = [
        "synapse_s3_config_dir",
        "synapse_s3_migrate_install_dir",
        "synapse_s3_migrate_state_dir",
        "__synapse_s3_drop_in_name",
        "__synapse_s3_migrate_script",
        "__synapse_s3_migrate_shell",
        "__synapse_s3_migrate_command",
        "__synapse_s3_migrate_service_unit",
        "__synapse_s3_migrate_timer_unit",
        "__synapse_s3_migrate_timer_stamp",
        "__synapse_s3_applied_path",
        "__synapse_s3_packages_record_path",
        "__synapse_s3_location_path",
    ]
    written = {
        "content": "{{ query('ansible.builtin.vars', *names) | join('\n') }}",
        "dest": f"{tmp_path}/{{{{ inventory_hostname }}}}.txt",
    }
    task = {"name": "Write the names", "ansible.builtin.copy": written, "vars": {"names": names}}
    cases.play([task], {"first": {}, "second": {"synapse_s3_instance": "blue"}})
    first = (tmp_path / "first.txt").read_text().splitlines()
    second = (tmp_path / "second.txt").read_text().splitlines()
    assert "/etc/synapse-s3" in first
    assert "/etc/synapse-s3-blue" in second
    assert len(first) == len(second) == len(names)
    assert set(first) & set(second) == set()
    assert [name for name in second if "-blue" not in name] == []
