# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks of a role are a few files, each a step that the README of the role explains."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from role_cases import ROLE_NAMES, ROLES


def task_files(role: Path) -> set[str]:
    return {path.name for path in (role / "tasks").iterdir()}


@pytest.mark.parametrize("name", ROLE_NAMES)
def test_a_role_has_four_to_eight_task_files_which_its_readme_names(name: str) -> None:
    files = task_files(ROLES / name)
    assert 4 <= len(files) <= 8
    named = set(re.findall(r"`(?:tasks_from: )?(\w+\.yml)`", (ROLES / name / "README.md").read_text(encoding="utf-8")))
    # Of the role common some are part of a step that the README explains without the name.
    assert files - named <= {"main.yml", "confirm_removal.yml"}


@pytest.mark.parametrize("name", ROLE_NAMES)
def test_every_task_file_is_included(name: str) -> None:
    texts = [
        path.read_text(encoding="utf-8")
        for folder in (ROLES, ROLES.parent / "playbooks")
        for path in folder.rglob("*.yml")
    ]
    included = set(re.findall(r"(?:_tasks|tasks_from): (\w+\.yml)", "".join(texts)))
    assert task_files(ROLES / name) - included <= {"main.yml"}
