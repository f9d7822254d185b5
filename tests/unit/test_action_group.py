# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action group lists every module with the connection options, so that module_defaults apply to all of them."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
FRAGMENTS = {"matrix_ops.synapse_s3.connection", "matrix_ops.synapse_s3.attributes.connection_group"}


def fragments_of(module: Path) -> set[str]:
    documentation = re.search(r'^DOCUMENTATION = r"""\n(.*?)^"""', module.read_text(encoding="utf-8"), re.M | re.S)
    assert documentation, f"{module.name} has no DOCUMENTATION"
    return set(yaml.safe_load(documentation[1]).get("extends_documentation_fragment", []))


def test_the_group_lists_every_module_that_takes_the_connection_options() -> None:
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    modules = {path.stem: fragments_of(path) for path in (ROOT / "plugins" / "modules").glob("*.py")}
    takes_options = {name for name, fragments in modules.items() if "matrix_ops.synapse_s3.connection" in fragments}
    assert takes_options
    assert set(runtime["action_groups"]["connection"]) == takes_options


def test_the_documentation_names_the_group_for_its_members_only() -> None:
    for path in (ROOT / "plugins" / "modules").glob("*.py"):
        assert fragments_of(path) & FRAGMENTS in (set(), FRAGMENTS), path.name
