# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starting the command imports only the modules that it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "plugins" / "module_utils"
SHOW = "import sys; {}; sys.stdout.write(chr(10).join(sys.modules))"


def imported(statements: str) -> set[str]:
    """Return the modules that a new interpreter has loaded after these statements."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(statements)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_the_command_line_imports_no_engine() -> None:
    modules = imported("import synapse_media.cli")
    assert "synapse_media.commands.arguments" in modules
    heavy = ("boto3", "botocore", "psycopg2", "yaml", "tqdm", "humanize", "s3transfer")
    assert modules.isdisjoint(heavy)
    assert modules.isdisjoint({"synapse_media.offload.job", "synapse_media.upstream.command"})


def test_a_command_imports_no_other() -> None:
    start = "sys.argv = ['synapse_media', 'offload']; import synapse_media.cli as m; {}"
    modules = imported(start.format("m.main()"))
    assert "synapse_media.offload.job" in modules
    assert not any(name.startswith(("synapse_media.upstream", "synapse_media.commands.migrate")) for name in modules)


def test_a_restore_imports_no_run_of_the_migrate_job() -> None:
    start = "sys.argv = ['synapse_media', 'restore']; import synapse_media.cli as m; {}"
    modules = imported(start.format("m.main()"))
    assert "synapse_media.restore.job" in modules
    assert modules.isdisjoint({"synapse_media.commands.offload", "synapse_media.commands.status"})
    assert not any(name.startswith("synapse_media.upstream") for name in modules)


def test_garbage_collection_imports_no_other_command() -> None:
    start = "sys.argv = ['synapse_media', 'gc']; import synapse_media.cli as m; {}"
    modules = imported(start.format("m.main()"))
    assert "synapse_media.collect.job" in modules
    assert modules.isdisjoint({f"synapse_media.commands.{name}" for name in ("offload", "restore", "status")})
    assert not any(name.startswith(("synapse_media.upstream", "synapse_media.restore")) for name in modules)


@pytest.mark.parametrize("verb", ["offload", "restore"])
def test_only_garbage_collection_can_delete(verb: str) -> None:
    start = "sys.argv = ['synapse_media', '{}']; import synapse_media.cli as m; m.main()"
    modules = imported(start.format(verb))
    assert "synapse_media.s3.bucket" in modules
    assert "synapse_media.s3.changing_bucket" not in modules


@pytest.mark.parametrize(
    "module",
    [
        "synapse_media.settings.store",
        "synapse_media.offload.job",
        "synapse_media.restore.job",
        "synapse_media.collect.job",
    ],
)
def test_the_engine_needs_no_boto3(module: str) -> None:
    modules = imported(f"import {module}")
    assert module in modules
    assert modules.isdisjoint({"boto3", "botocore", "tqdm", "humanize", "s3transfer"})
    assert "synapse_media.upstream.launcher" not in modules


@pytest.mark.parametrize("verb", ["offload", "migrate"])
def test_a_python_without_the_packages_names_the_playbook_that_installs_them(verb: str, tmp_path: Path) -> None:
    """The Python of the virtualenv became another version, which does not see the packages of the old one."""
    config = tmp_path / "migrate.yml"
    config.touch(mode=0o600)
    command = [sys.executable, "-S", "-m", "synapse_media.cli", verb, "--config", str(config)]
    ended = subprocess.run(command, env={"PYTHONPATH": str(PACKAGE)}, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "has no PyYAML" in ended.stderr
    assert "Run the playbook matrix_ops.synapse_s3.site" in ended.stderr
