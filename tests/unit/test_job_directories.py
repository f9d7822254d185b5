# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A removal of the migrate job removes its two directories, unless others have put files into them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from role_cases import ROLES, Cases

NAMES = ("List what lies in", "Remove the directories of", "Report what keeps")


def remove(directory: Path, install_dir: Path, state_dir: Path) -> None:
    """Run the tasks that follow the removal of the job's own files."""
    tasks = yaml.safe_load((ROLES / "migrate/tasks/remove.yml").read_text(encoding="utf-8"))
    paths = (install_dir, state_dir)
    host = {
        "synapse_s3_migrate_install_dir": str(install_dir),
        "synapse_s3_migrate_state_dir": str(state_dir),
        "__synapse_s3_migrate_host": {"paths": {str(path): {"exists": path.exists()} for path in paths}},
    }
    Cases(directory).play([task for task in tasks if task["name"].startswith(NAMES)], {"host": host})


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    path = tmp_path / "scratch"
    path.mkdir()
    return path


@pytest.mark.parametrize("program", ["program", "state/program"])
def test_both_are_removed_also_where_the_program_is_within_the_state(
    scratch: Path, tmp_path: Path, program: str
) -> None:
    (tmp_path / program / "lib").mkdir(parents=True)
    (tmp_path / "state").mkdir(exist_ok=True)
    remove(scratch, tmp_path / program, tmp_path / "state")
    assert not (tmp_path / program).exists()
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("program", "theirs", "stays"),
    [
        ("program", "program/notes", {"program"}),
        ("program", "program/lib/notes", {"program"}),
        ("program", "state/notes", {"state"}),
        ("state/program", "state/program/lib/notes", {"state/program", "state"}),
        ("state/program", "state/notes", {"state"}),
        ("state/program", "state/program-of-others/notes", {"state"}),
        # Its listing has the directory of the state in it, which others may use too.
        ("", "state/notes", {"", "state"}),
    ],
)
def test_a_directory_with_a_file_of_others_stays(
    scratch: Path, tmp_path: Path, program: str, theirs: str, stays: set[str]
) -> None:
    base = tmp_path / "base"
    for path in (base / program / "lib", base / "state", (base / theirs).parent):
        path.mkdir(parents=True, exist_ok=True)
    (base / theirs).touch()
    remove(scratch, base / program, base / "state")
    assert (base / theirs).exists()
    assert {name for name in (program, "state") if (base / name).exists()} == stays


def test_directories_that_are_not_there_are_no_error(scratch: Path, tmp_path: Path) -> None:
    remove(scratch, tmp_path / "program", tmp_path / "state")
    assert not (tmp_path / "program").exists()
