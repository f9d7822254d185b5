# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The round trip is made once for each state, and every text about its setting says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {
    "roles/storage_provider/defaults/main.yml": r"(?:^#.*\n)+(?=synapse_s3_storage_provider_verify:)",
    "roles/storage_provider/meta/argument_specs.yml": r"synapse_s3_storage_provider_verify:\n(?: {8}.*\n)+",
    "roles/storage_provider/README.md": r".*`synapse_s3_storage_provider_verify`.*",
    "inventory.example/group_vars/synapse/vars.yml": r"(?:^#.*\n)+(?=# synapse_s3_storage_provider_verify:)",
}


@pytest.mark.parametrize("name", TEXTS)
def test_no_text_promises_a_round_trip_in_every_run(name: str) -> None:
    found = re.search(TEXTS[name], (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    assert not re.search(r"\b(each|every) run\b", found[0])
    assert re.search(r"\bonce\b|\beach state\b", found[0])


def test_the_role_makes_it_once_for_each_state() -> None:
    due = (ROOT / "roles/storage_provider/vars/main.yml").read_text(encoding="utf-8")
    assert "__synapse_s3_applied.proven != __synapse_s3_provider_fingerprint" in due
    verification = (ROOT / "roles/storage_provider/tasks/verify.yml").read_text(encoding="utf-8")
    assert "when: __synapse_s3_round_trip_is_due" in verification
