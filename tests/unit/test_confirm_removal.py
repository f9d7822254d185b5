# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turning the storage provider off and uninstall.yml both require the same confirmation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from role_cases import ROLES, Cases

OURS = {"storage_providers": [{"ours": True}]}
THEIRS = {"storage_providers": [{"ours": False}]}


@pytest.fixture
def cases(tmp_path: Path) -> Cases:
    return Cases(tmp_path)


def test_an_installed_provider_is_not_removed_without_confirmation(cases: Cases, tmp_path: Path) -> None:
    for record in ("applied", "provider-packages", "synapse"):
        (tmp_path / record).mkdir()
        (tmp_path / record / f"{record}.json").touch()
    directories: dict[str, dict[str, Any]] = {
        "never": {"__synapse_s3_homeserver": {"storage_providers": []}},
        "by-hand": {"__synapse_s3_homeserver": THEIRS},
        "gone": {"__synapse_s3_homeserver": {}},
        "entry": {"__synapse_s3_homeserver": OURS},
        "confirmed": {"__synapse_s3_homeserver": OURS, "synapse_s3_uninstall_confirm": True},
        "applied": {"__synapse_s3_homeserver": {}, "synapse_s3_config_dir": f"{tmp_path}/applied"},
        "packages": {"__synapse_s3_homeserver": {}, "synapse_s3_config_dir": f"{tmp_path}/provider-packages"},
        "synapse": {"__synapse_s3_homeserver": {}, "synapse_s3_config_dir": f"{tmp_path}/synapse"},
    }
    common: dict[str, Any] = {"__synapse_s3_synapse": {}, "synapse_s3_config_dir": f"{tmp_path}/none"}
    told = cases.run(
        "common/tasks/confirm_removal.yml", {name: {**common, **given} for name, given in directories.items()}
    )
    assert set(told) == {"entry", "applied", "packages", "synapse"}
    for words in told.values():
        assert words.startswith("Nothing was changed.")
        assert "-e synapse_s3_uninstall_confirm=true" in words


def test_a_removal_that_may_not_restart_synapse_is_refused(cases: Cases, tmp_path: Path) -> None:
    common: dict[str, Any] = {"synapse_s3_config_dir": f"{tmp_path}/none", "synapse_s3_uninstall_confirm": True}
    running: dict[str, Any] = {"__synapse_s3_synapse": {"service": "synapse.service"}, **common}
    hosts = {
        "held": {**running, "__synapse_s3_homeserver": OURS, "synapse_s3_restart_synapse": False},
        "allowed": {**running, "__synapse_s3_homeserver": OURS},
        "never": {**running, "__synapse_s3_homeserver": THEIRS, "synapse_s3_restart_synapse": False},
        "gone": {
            **common,
            "__synapse_s3_synapse": {},
            "__synapse_s3_homeserver": OURS,
            "synapse_s3_restart_synapse": False,
        },
    }
    told = cases.run("common/tasks/confirm_removal.yml", hosts)
    assert set(told) == {"held"}
    assert "Set synapse_s3_restart_synapse: true" in told["held"]


def test_both_ways_of_removal_require_confirmation_first() -> None:
    (role,) = yaml.safe_load((ROLES / "storage_provider/tasks/main.yml").read_text(encoding="utf-8"))
    set_up, *off = role["block"]
    assert set_up["when"] == "synapse_s3_storage_provider_enabled | bool"
    tasks = [task for block in off for task in block["block"]]
    assert all(task["when"].startswith("not (synapse_s3_storage_provider_enabled") for task in tasks)
    assert [task["ansible.builtin.include_role"]["tasks_from"] for task in tasks[:1]] == ["confirm_removal.yml"]
    (play,) = yaml.safe_load((ROLES.parent / "playbooks/uninstall.yml").read_text(encoding="utf-8"))
    toggles, *included = play["pre_tasks"]
    assert "ansible.builtin.assert" in toggles
    asked = [task["ansible.builtin.include_role"].get("tasks_from") for task in included]
    assert asked == [None, "confirm_removal.yml"]
