# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The storage provider's package is removed only where no configuration names it any more."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit import usage
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.entry import KEY, PROVIDER_MODULE
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.usage import (
    PlannedRemoval,
    Usage,
    find_usage,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_service import SynapseCommand
from homeserver_files import ConfigurationFiles

PYTHON = "/opt/synapse/bin/python"
BY_HAND = f"{KEY}:\n- module: {PROVIDER_MODULE}\n  config: {{bucket: media, prefix: synapse/}}\n"
NOTHING_LEFT = Usage([], [])


@pytest.fixture(autouse=True)
def no_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(usage, "PACKAGED", SynapseCommand(PYTHON, [str(tmp_path / "none")], None))


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> list[SynapseCommand]:
    found: list[SynapseCommand] = []
    monkeypatch.setattr(usage, "synapse_processes", lambda run: found)
    return found


def look(config_paths: list[str], recorded_paths: list[str], python: str = PYTHON) -> Usage:
    return find_usage(lambda command: (127, "", ""), PlannedRemoval(config_paths, recorded_paths, python))


def test_a_block_that_this_run_removes_keeps_no_packages(services: list[SynapseCommand], tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": "server_name: example.org\n"})
    files.put()
    services.append(SynapseCommand(PYTHON, files.paths, None))
    assert look(files.paths, files.paths) == NOTHING_LEFT


def test_an_entry_on_one_line_counts_as_a_block_does(services: list[SynapseCommand], tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": '{"server_name": "example.org"}\n'})
    files.put()
    assert look(files.paths, files.paths) == NOTHING_LEFT
    other = ConfigurationFiles(tmp_path / "other", {"homeserver.yaml": "server_name: example.org\n"})
    assert look(other.paths, files.paths) == Usage(files.paths, [])
    assert look([], files.paths, python="") == Usage(files.paths, [])


def test_an_entry_that_comes_back_keeps_the_packages(services: list[SynapseCommand], tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": BY_HAND})
    files.put()
    assert look(files.paths, files.paths) == Usage([], files.paths)


def test_a_block_in_a_file_without_a_service_is_reported(services: list[SynapseCommand], tmp_path: Path) -> None:
    """With a mistyped service, a masked one, or a removed unit, no service is found but the file exists."""
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": "server_name: example.org\n"})
    files.put()
    assert look([], files.paths) == Usage(files.paths, [])
    assert look([], files.paths, python="") == Usage(files.paths, [])
    other = ConfigurationFiles(tmp_path / "other", {"homeserver.yaml": "server_name: example.org\n"})
    assert look(other.paths, files.paths) == Usage(files.paths, [])


def test_without_a_record_every_service_counts(services: list[SynapseCommand], tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": "server_name: example.org\n"})
    files.put()
    assert look([], []) == NOTHING_LEFT
    services.append(SynapseCommand("/opt/other/bin/python", files.paths, None))
    assert look([], []) == Usage(files.paths, [])


def test_without_a_synapse_an_entry_by_hand_counts_while_packages_would_be_removed(
    services: list[SynapseCommand], tmp_path: Path
) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": BY_HAND})
    assert look([], files.paths) == Usage(files.paths, [])
    assert look([], files.paths, python="").left_behind == []


def test_another_synapse_with_the_same_python_keeps_the_packages(
    services: list[SynapseCommand], tmp_path: Path
) -> None:
    blue = ConfigurationFiles(tmp_path / "blue", {"homeserver.yaml": "server_name: blue.example.org\n"})
    green = ConfigurationFiles(tmp_path / "green", {"homeserver.yaml": "server_name: green.example.org\n"})
    blue.put()
    green.put()
    services.append(SynapseCommand("/opt/other/bin/python3", green.paths, None))
    assert look(blue.paths, blue.paths) == NOTHING_LEFT
    services.append(SynapseCommand("/opt/synapse/bin/python3", green.paths, None))
    assert look(blue.paths, blue.paths) == Usage([], green.paths)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"# {PROVIDER_MODULE}\n", False),
        (f"a: 1 # was {PROVIDER_MODULE}\n", False),
        (f"a: [{{module: {PROVIDER_MODULE}}}]\n", True),
        (f'{{"{KEY}": [{{"module": "{PROVIDER_MODULE}"}}]}}', True),
        (f"broken: [\n- module: '{PROVIDER_MODULE}'\n", True),
        ("module: file_system\n", False),
    ],
)
def test_comments_do_not_count_and_broken_files_do(
    services: list[SynapseCommand], tmp_path: Path, text: str, names: bool
) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": text})
    assert bool(look([], files.paths).left_behind) is names
    assert bool(look(files.paths, files.paths).used_by) is names


def test_a_missing_file_names_nothing(services: list[SynapseCommand], tmp_path: Path) -> None:
    assert look([], [str(tmp_path / "gone.yaml")]) == NOTHING_LEFT
