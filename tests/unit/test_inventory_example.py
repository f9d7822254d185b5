# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example's vars.yml lists every setting of every role, with its default unless the demo needs another value."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "inventory.example" / "group_vars" / "synapse"
DEMO_NAMES = ("bucket", "endpoint_url", "region_name", "access_key_id", "secret_access_key")
SET_FOR_THE_DEMO = {f"synapse_s3_{name}" for name in DEMO_NAMES}


def defaults() -> dict[str, Any]:
    together: dict[str, Any] = {}
    for path in (ROOT / "roles").glob("*/defaults/main.yml"):
        together.update(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    return together


def example() -> dict[str, Any]:
    """The example with its commented settings, which have their defaults."""
    text = (EXAMPLE / "vars.yml").read_text(encoding="utf-8")
    settings: dict[str, Any] = yaml.safe_load(re.sub(r"(?m)^# (synapse_s3_\w+:)", r"\1", text))
    return settings


def test_the_example_has_exactly_the_settings_of_the_roles() -> None:
    assert set(example()) == set(defaults())


def test_the_values_are_the_defaults_except_for_the_demo() -> None:
    different = {name for name, value in example().items() if value != defaults()[name]}
    assert different == SET_FOR_THE_DEMO


def test_the_vault_defines_every_variable_that_is_used() -> None:
    vault = yaml.safe_load((EXAMPLE / "vault.yml").read_text(encoding="utf-8"))
    referred = set(re.findall(r"vault_synapse_s3_\w+", str(example())))
    assert referred and set(vault) == referred
