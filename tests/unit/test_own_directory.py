# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory that is somebody else's is refused with the reason, before it gets an owner or a mode of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"
ROLE_NAMES = ("common", "migrate", "storage_provider")
MARKS = ["location.json"]


class Cases:
    """Each case is a host of one play, whose rescue writes the message of the refusal."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.messages = directory / "messages"
        self.messages.mkdir()

    def run(self, tasks: str, cases: dict[str, dict[str, Any]]) -> dict[str, str]:
        """The message with which each case was refused; a case that was accepted is left out."""
        said = {"content": "{{ ansible_failed_result.msg }}", "dest": f"{self.messages}/{{{{ inventory_hostname }}}}"}
        attempt = {
            "name": "Attempt",
            "block": [{"name": "Include", "ansible.builtin.include_tasks": str(ROLES / tasks)}],
            "rescue": [{"name": "Write the refusal", "ansible.builtin.copy": said}],
        }
        self.play([attempt], cases)
        return {path.name: path.read_text() for path in self.messages.iterdir()}

    def play(self, tasks: list[dict[str, Any]], hosts: dict[str, dict[str, Any]]) -> None:
        """With the defaults and the variables of every role, on hosts that are all this one."""
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
        (self.directory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": defaults}}))
        (self.directory / "play.yml").write_text(yaml.safe_dump([play]))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        environment = {**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false", "HOME": str(self.directory)}
        command = [program, "-i", "hosts.yml", "play.yml"]
        ended = subprocess.run(
            command, cwd=self.directory, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


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
    assert f"is or contains {tmp_path}/synapse/etc/" in told["configuration"]
    assert "/opt/synapse/venv/ of Synapse" in told["virtualenv"]


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
