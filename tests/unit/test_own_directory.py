# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory that is somebody else's is refused with the reason, before it gets an owner or a mode of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from role_cases import Cases

MARKS = ["location.json"]


@pytest.fixture
def cases(tmp_path: Path) -> Cases:
    return Cases(tmp_path)


def test_a_directory_of_somebody_else_is_refused(cases: Cases, tmp_path: Path) -> None:
    for name in ("theirs", "ours", "empty", "synapse/etc"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "theirs/passwords").touch()
    (tmp_path / "ours/location.json").touch()
    (tmp_path / "ours/note-of-the-operator").touch()
    (tmp_path / "file").touch()
    synapse = {
        "__synapse_s3_synapse": {
            "home": f"{tmp_path}/synapse/",
            "working_directory": "/",
            "python": "/opt/synapse/venv/bin/python",
            "config_paths": [f"{tmp_path}/synapse/etc/homeserver.yaml"],
        },
        "__synapse_s3_homeserver": {"config_files": [f"{tmp_path}/synapse/etc/homeserver.yaml"]},
        "__synapse_s3_media_path": "/var/lib/media",
    }
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
    told = cases.run(
        "common/tasks/own_directory.yml",
        {
            name: {
                "__synapse_s3_directory": {"setting": "synapse_s3_config_dir", "path": path, "marks": MARKS},
                **synapse,
            }
            for name, path in paths.items()
        },
    )
    assert set(paths) - set(told) == {"ours", "empty", "missing"}
    assert all("synapse_s3_config_dir" in words for words in told.values())
    assert "it holds passwords" in told["theirs"]
    assert "is no directory" in told["file"]
    assert f"is or contains {tmp_path}/synapse/etc, " in told["configuration"]
    assert "/opt/synapse/venv of Synapse" in told["virtualenv"]


def test_a_removal_leaves_a_directory_that_holds_nothing_of_ours(cases: Cases, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/environment").touch()
    nothing = {"__synapse_s3_synapse": {}, "__synapse_s3_homeserver": {}, "__synapse_s3_media_path": ""}
    directory = {"setting": "synapse_s3_config_dir", "path": f"{tmp_path}/theirs", "marks": MARKS}
    told = cases.run(
        "common/tasks/own_directory.yml",
        {
            "touched": {"__synapse_s3_directory": {**directory, "removes": ["environment"]}, **nothing},
            "untouched": {"__synapse_s3_directory": {**directory, "removes": ["location.json"]}, **nothing},
        },
    )
    assert set(told) == {"touched"}
    assert "it holds environment" in told["touched"]


def test_an_instance_has_a_name_that_fits_into_paths(cases: Cases) -> None:
    names = {
        "none": "",
        "word": "blue",
        "hyphen": "blue-2",
        "path": "../x",
        "upper": "Blue",
        "end": "blue-",
        "long": "b" * 33,
        "space": "b c",
    }
    told = cases.run(
        "common/tasks/preflight_instance.yml", {key: {"synapse_s3_instance": value} for key, value in names.items()}
    )
    assert set(names) - set(told) == {"none", "word", "hyphen"}
    assert all("synapse_s3_instance" in words for words in told.values())


def test_every_name_carries_the_instance(cases: Cases, tmp_path: Path) -> None:
    """What one instance makes, another one of another name does not touch."""
    names = [
        "synapse_s3_config_dir",
        "synapse_s3_migrate_install_dir",
        "synapse_s3_migrate_state_dir",
        "__synapse_s3_drop_in_name",
        "__synapse_s3_migrate_script",
        "__synapse_s3_migrate_shell",
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
