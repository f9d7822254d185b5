# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument specification of every role equals its defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted(path for path in (Path(__file__).resolve().parents[2] / "roles").iterdir() if path.is_dir())
SECRET_WORDS = ("secret", "token", "sse_customer_key", "password", "database")


def load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def options_of(role: Path) -> dict[str, Any]:
    return load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_roles_are_found() -> None:
    assert {"common", "storage_provider", "migrate"} <= {role.name for role in ROLES}


def test_the_options_equal_the_defaults(role: Path) -> None:
    defaults = load(role / "defaults" / "main.yml")
    specified = {name: option.get("default") for name, option in options_of(role).items()}
    assert specified == defaults


def test_every_public_variable_has_the_prefix(role: Path) -> None:
    assert [name for name in options_of(role) if not name.startswith("synapse_s3_")] == []


def test_every_option_has_a_description_and_a_type(role: Path) -> None:
    options = options_of(role).items()
    assert [name for name, option in options if not option.get("description") or not option.get("type")] == []


def test_secrets_are_marked_no_log(role: Path) -> None:
    secret = {name for name in options_of(role) if name.endswith(SECRET_WORDS) or name.endswith("_access_token")}
    assert {name for name in secret if not options_of(role)[name].get("no_log")} == set()


def test_no_default_is_set_in_two_roles() -> None:
    seen: dict[str, str] = {}
    for one in ROLES:
        for name in options_of(one):
            assert name not in seen, f"{name} is a default of both {seen[name]} and {one.name}"
            seen[name] = one.name
