# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The README, the READMEs of the roles and docs/ name only settings that exist, with the defaults that they have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "roles").glob("*/README.md"))]
# Beginnings of names: the metrics, and the module that Synapse imports.
PREFIXES = ("synapse_s3_offload_", "synapse_s3_provider_", "synapse_s3_resilient_provider")
EMPTY: tuple[Any, ...] = ("", [], {})
ROW = re.compile(r"(?m)^\| `(synapse_s3_\w+)` \| (`[^`]*`|\w+) \|")


def defaults() -> dict[str, Any]:
    together: dict[str, Any] = {}
    for path in (ROOT / "roles").glob("*/defaults/main.yml"):
        together.update(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    return together


def variables_of_playbooks() -> set[str]:
    """Variables that choose hosts, which are no settings of a role."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "playbooks").glob("*.yml")]
    return {name for text in texts for name in re.findall(r"{{ (synapse_s3_\w+) \| default", text)}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_settings_exist(page: Path) -> None:
    named = set(re.findall(r"\bsynapse_s3_\w+", page.read_text(encoding="utf-8")))
    unknown = {name for name in named if not name.startswith(PREFIXES)} - set(defaults()) - variables_of_playbooks()
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_defaults_are_those_of_the_roles(page: Path) -> None:
    settings = defaults()
    for name, stated in ROW.findall(page.read_text(encoding="utf-8")):
        value = settings[name]
        if stated in ("none", "found"):
            assert value in EMPTY, name
        elif "{{" not in str(value):
            assert stated.strip("`") in (str(value), json.dumps(value)), name
