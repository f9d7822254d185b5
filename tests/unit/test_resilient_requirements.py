# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose releases are older than those that the resilient storage provider is tested with."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from role_cases import ROLES, Cases

PYTHON = "/opt/synapse/venv/bin/python"
TEXT = "{{ __synapse_s3_resilient_too_old | to_json }}"


def host(synapse: str, boto3: str | None = None, release: str = "") -> dict[str, Any]:
    packages = {"matrix-synapse": synapse, **({"boto3": boto3} if boto3 else {})}
    return {
        "__synapse_s3_synapse": {"version": synapse, "python": PYTHON},
        "__synapse_s3_host": {"pythons": {PYTHON: {"packages": packages}}},
        "synapse_s3_storage_provider_version": release,
    }


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "newest": (host("1.163.2"), []),
    "oldest": (host("1.90.0", "1.28.62"), []),
    "release_candidate": (host("1.90.0rc1"), []),
    "old_synapse": (host("1.89.0"), ["Synapse 1.89.0 (it needs 1.90)"]),
    "old_boto3": (host("1.120.0", "1.28.0"), ["boto3 1.28.0 (it needs 1.28.62)"]),
    "old_release": (host("1.120.0", None, "1.4.0"), ["synapse-s3-storage-provider 1.4.0 (it needs 1.5.0)"]),
    "all_old": (
        host("1.76.0", "1.9.23", "1.2.1"),
        [
            "Synapse 1.76.0 (it needs 1.90)",
            "synapse-s3-storage-provider 1.2.1 (it needs 1.5.0)",
            "boto3 1.9.23 (it needs 1.28.62)",
        ],
    ),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    cases = Cases(tmp_path_factory.mktemp("requirements"))
    write = {"content": TEXT, "dest": f"{cases.messages}/{{{{ inventory_hostname }}}}"}
    cases.play(
        [{"name": "Write", "ansible.builtin.copy": write}],
        {name: settings for name, (settings, dummy) in CASES.items()},
    )
    return {path.name: json.loads(path.read_text()) for path in cases.messages.iterdir()}


@pytest.mark.parametrize("name", CASES)
def test_each_release_that_is_too_old_is_named(name: str, found: dict[str, list[str]]) -> None:
    assert found[name] == CASES[name][1]


def test_the_oldest_releases_are_those_that_the_tests_of_the_provider_run() -> None:
    """And the README says so."""
    variables = yaml.safe_load((ROLES / "storage_provider" / "vars" / "main.yml").read_text(encoding="utf-8"))
    needs = variables["__synapse_s3_resilient_needs"]
    image = ROLES.parent / "tests" / "provider" / "image"
    requirements = (image / "oldest-requirements.txt").read_text(encoding="utf-8").split()
    assert f"matrix-synapse=={needs['synapse']}.0" in requirements
    assert f"boto3=={needs['boto3']}" in requirements
    script = (image / "install.sh").read_text(encoding="utf-8")
    assert f'oldest-requirements.txt" synapse-s3-storage-provider=={needs["provider"]}\n' in script
    readme = " ".join((ROLES / "storage_provider" / "README.md").read_text(encoding="utf-8").split())
    assert (
        f"refused with Synapse before {needs['synapse']}, upstream's storage provider before {needs['provider']}, and a"
        f" boto3 before {needs['boto3']}"
    ) in readme
