# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the roles write for a Compose project, and how they make Synapse's container anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from role_cases import ROLES, Cases

FILES = ["docker-compose", "--file", "/srv/matrix/docker-compose.yml"]
OVERRIDE = "/srv/matrix/docker-compose.override.yml"
COMPOSE = {
    "project": "matrix",
    "service": "synapse",
    "directory": "/srv/matrix",
    "command": FILES,
    "override": OVERRIDE,
    "override_is_named": False,
    "override_empty": "services: {synapse: {}}",
    "override_exists": True,
    "knows_pull_policy": False,
    "restarts_unit": False,
    "has_own_image": True,
}


def host(*, removed: bool = False, **changes: Any) -> dict[str, Any]:
    compose = {**COMPOSE, **{name: value for name, value in changes.items() if name in COMPOSE}}
    container = {"engine": "docker", "name": "synapse", "image_id": "sha256:ab", "compose": compose}
    synapse = {"version": "1.163.2", "service": changes.get("service_unit"), "active": True, "container": container}
    return {
        "__synapse_s3_found": {"synapse": synapse},
        "__synapse_s3_synapse": synapse,
        "__synapse_s3_processes": [],
        "__synapse_s3_provider_facts": {"image": "{{ __synapse_s3_image_computed }}"},
        "synapse_s3_storage_provider_enabled": not removed,
        "synapse_s3_bucket": "media",
        "synapse_s3_addressing_style": changes.get("addressing_style", "auto"),
        "synapse_s3_ca_bundle": changes.get("ca_bundle", ""),
    }


HOSTS = {
    "first": host(),
    "second": host(knows_pull_policy=True, addressing_style="path", ca_bundle="/etc/a$b.pem"),
    "named": host(override_is_named=True, removed=True),
    "removed": host(removed=True),
    "unit": host(restarts_unit=True, service_unit="matrix.service"),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("compose")
    names = {"up": "__synapse_s3_compose_up", "services": "__synapse_s3_restarted_services"}
    values = ", ".join(f"'{name}': {variable}" for name, variable in names.items())
    template = str(ROLES / "storage_provider/templates/compose.override.yml.j2")
    write = {"src": template, "dest": f"{directory}/{{{{ inventory_hostname }}}}.yml", "mode": "0600"}
    keep = {"content": f"{{{{ {{{values}}} | to_json }}}}", "dest": f"{directory}/{{{{ inventory_hostname }}}}.json"}
    tasks = [
        {"name": "Write the file", "ansible.builtin.template": write},
        {"name": "Write the values", "ansible.builtin.copy": {**keep, "mode": "0600"}},
    ]
    Cases(directory).play(tasks, HOSTS)
    return {
        name: (
            yaml.safe_load(Path(directory, f"{name}.yml").read_text()),
            json.loads(Path(directory, f"{name}.json").read_text()),
        )
        for name in HOSTS
    }


def test_only_the_image_is_named(results: dict[str, Any]) -> None:
    (service,) = results["first"][0]["services"].values()
    assert list(service) == ["image"]
    assert service["image"].startswith("localhost/synapse-s3/synapse:")


def test_compose_2_never_pulls_it_and_boto3_gets_its_file(results: dict[str, Any]) -> None:
    service = results["second"][0]["services"]["synapse"]
    assert service["pull_policy"] == "never"
    assert service["environment"] == {"AWS_CONFIG_FILE": "/etc/synapse-s3/aws-config", "AWS_CA_BUNDLE": "/etc/a$$b.pem"}
    assert service["volumes"][1] == "/etc/a$$b.pem:/etc/a$$b.pem:ro"


def test_the_container_of_the_service_alone_is_made_anew(results: dict[str, Any]) -> None:
    up = ["up", "--detach", "--no-deps", "--no-build", "--force-recreate", "synapse"]
    assert results["first"][1]["up"] == [*FILES, "--file", OVERRIDE, *up]
    # What is removed cannot be named; what the operator names has to be.
    assert results["removed"][1]["up"] == [*FILES, *up]
    assert results["named"][1]["up"] == [*FILES, "--file", OVERRIDE, *up]


def test_a_unit_in_which_compose_runs_is_restarted_instead(results: dict[str, Any]) -> None:
    assert results["first"][1]["services"] == ["synapse"]
    assert results["unit"][1]["services"] == ["matrix.service"]
