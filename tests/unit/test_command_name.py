# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each command uses the name that the user typed, in its help, usage errors and messages."""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container.engine import (
    BASE_ID_LABEL,
    CONTAINER_LABEL,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.status.units import PROPERTIES
from jinja2 import Environment, FileSystemLoader

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "plugins" / "module_utils"
TEMPLATES = ROOT / "roles" / "migrate" / "templates"


def rendered(template: str, directory: Path, name: str, **variables: Any) -> Path:
    """Render a script of the role as it is installed on a host, for the user who runs the tests."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), trim_blocks=True)
    environment.filters.update(quote=shlex.quote, comment=lambda text: f"# {text}", basename=os.path.basename)
    (directory / "environment").touch()
    script = directory / name
    script.write_text(
        environment.get_template(template).render(
            ansible_managed="Ansible managed",
            synapse_s3_migrate_engine="media_offload",
            synapse_s3_migrate_state_dir=str(directory),
            __synapse_s3_synapse={"user": pwd.getpwuid(os.geteuid()).pw_name, "uid": os.geteuid()},
            __synapse_s3_connection={},
            __synapse_s3_migrate_as_synapse=["false"],
            __synapse_s3_migrate_script=f"/usr/local/bin/{name}",
            __synapse_s3_migrate_shell=f"/usr/local/bin/{name}",
            __synapse_s3_migrate_environment_file=str(directory / "environment"),
            __synapse_s3_migrate_lib_dir=str(PACKAGE),
            __synapse_s3_migrate_venv=str(Path(sys.prefix)),
            __synapse_s3_migrate_job_python=sys.executable,
            __synapse_s3_migrate_config_file=str(directory / "absent.yml"),
            **{"__synapse_s3_container": {}, **variables},
        )
    )
    script.chmod(0o755)
    return script


def run(*command: object) -> tuple[int, str, str]:
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("verb", ["offload", "migrate"])
@pytest.mark.parametrize("name", ["synapse-s3-migrate", "synapse-s3-migrate-second"])
def test_the_installed_command_uses_its_own_name(verb: str, name: str, tmp_path: Path) -> None:
    script = rendered("synapse-s3-migrate.j2", tmp_path, name, __synapse_s3_migrate_verb=verb)
    status, output, errors = run(script, "--help")
    assert (status, errors) == (0, "")
    assert output.startswith(f"usage: {name} [-h] [--dry-run] [--json]")
    # The script passes these options itself, so the help must not show them.
    assert "synapse_media" not in output and "--config" not in output and "--user" not in output

    status, output, errors = run(script, "--nonsense")
    assert status == 2 and errors.splitlines()[-1].startswith(f"{name}: error: ")
    assert errors.startswith(f"usage: {name} [-h]")

    status, output, errors = run(script)
    assert status == 2 and errors.startswith(f"{name}: ") and "absent.yml cannot be read" in errors
    assert output.startswith(f"{name}: ")


def test_the_installed_shell_uses_its_own_name(tmp_path: Path) -> None:
    status, output, errors = run(rendered("synapse-s3-shell.j2", tmp_path, "synapse-s3-shell"), "-c", "true")
    assert status == 2 and output == ""
    assert errors.startswith("synapse-s3-shell: ") and "absent.yml cannot be read" in errors


@pytest.mark.parametrize("verb", ["offload", "migrate", "prepare"])
def test_without_a_script_the_name_is_that_of_the_python_module(verb: str) -> None:
    name = f"{Path(sys.executable).name} -m synapse_media.cli {verb}"
    status, output, dummy = run(sys.executable, "-m", "synapse_media.cli", verb, "--help")
    assert status == 0 and output.startswith(f"usage: {name} [-h] --config FILE")
    status, output, errors = run(sys.executable, "-m", "synapse_media.cli", verb, "--config", "/absent")
    assert status == 2 and errors.startswith(f"{name}: /absent cannot be read")


def test_the_status_command_of_a_container_is_a_valid_script(tmp_path: Path) -> None:
    """It asks about the images before it enters the container."""
    container = {"engine": "docker", "name": "synapse", "image": "matrixdotorg/synapse:latest"}
    script = rendered(
        "synapse-s3.j2",
        tmp_path,
        "synapse-s3",
        __synapse_s3_container=container,
        __synapse_s3_migrate_command="/usr/local/bin/synapse-s3",
        __synapse_s3_migrate_status_properties=["Id"],
        __synapse_s3_migrate_base_id_label="matrix_ops.synapse_s3.base_id",
    )
    assert run("/bin/sh", "-n", script) == (0, "", "")
    text = script.read_text()
    assert text.index("image inspect") < text.index("case $(id -u) in")
    assert """'{{index .Config.Labels "matrix_ops.synapse_s3.base_id"}}'""" in text


def test_the_status_command_asks_what_the_program_understands() -> None:
    variables = yaml.safe_load((TEMPLATES.parent / "vars" / "main.yml").read_text())
    assert variables["__synapse_s3_migrate_status_properties"] == list(PROPERTIES)
    assert variables["__synapse_s3_migrate_base_id_label"] == BASE_ID_LABEL
    for template in ("synapse-s3.j2", "in-container.j2"):
        assert f"--filter label={CONTAINER_LABEL}=" in (TEMPLATES / template).read_text()


def test_the_installed_status_command_uses_its_own_name(tmp_path: Path) -> None:
    facts = {
        "__synapse_s3_migrate_command": "/usr/local/bin/synapse-s3",
        "__synapse_s3_migrate_service": "synapse-s3-migrate.service",
        "__synapse_s3_migrate_timer": "synapse-s3-migrate.timer",
        "__synapse_s3_migrate_status_properties": ["Id", "ActiveState"],
    }
    script = rendered("synapse-s3.j2", tmp_path, "synapse-s3", **facts)
    usage = (
        "usage: synapse-s3 status [--json | --check] [--usage]\n"
        "       synapse-s3 restore [--dry-run] [--json] [OPTION...]\n"
        "       synapse-s3 gc [--dry-run] [--json] [--confirm | --undo LOG] [OPTION...]\n"
    )
    assert run(script) == (2, "", usage)
    assert run(script, "offload") == (2, "", usage)
    assert run(script, "--help") == (0, usage, "")
    status, output, errors = run(script, "status", "--help")
    assert (status, errors) == (0, "")
    assert output.startswith("usage: synapse-s3 status [-h] [--json | --check] [--usage]")
    assert "--host-facts" not in output and "--config" not in output
    status, output, dummy = run(script, "restore", "--help")
    assert status == 0 and output.startswith("usage: synapse-s3 restore [-h] [--dry-run] [--json]")
    status, output, dummy = run(script, "gc", "--help")
    assert status == 0 and output.startswith("usage: synapse-s3 gc [-h] [--dry-run] [--json]")
    status, output, errors = run(script, "gc", "--confirm")
    assert status == 2 and "absent.yml cannot be read" in errors and "--host-facts" not in errors
    status, output, errors = run(script, "status")
    assert status == 2 and output == ""
    assert errors.startswith("synapse-s3 status: ") and "absent.yml cannot be read" in errors
    status, output, errors = run(script, "status", "--check")
    assert (status, errors) == (3, "")
    assert output.startswith("SYNAPSE_S3 UNKNOWN - ") and "absent.yml cannot be read" in output
