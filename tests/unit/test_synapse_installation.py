# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For a Python without pip the message says how to get it, depending on the kind of Python."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_installation import Wanted, installation
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_service import SynapseNotFoundError

METADATA = "Metadata-Version: 2.1\nName: matrix-synapse\nVersion: 1.163.2\n"


HIDE_ENSUREPIP = """
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "ensurepip" else find_spec(name, package)
"""


def run(command: Sequence[str]) -> tuple[int, str, str]:
    if command[0] == "systemctl":
        return 1, "", ""
    done = subprocess.run(list(command), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


class Virtualenv:
    """A virtualenv without pip, with a package that looks like Synapse."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
        (packages,) = directory.glob("lib/python*/site-packages")
        self.packages = packages
        (packages / "synapse").mkdir()
        (packages / "synapse/__init__.py").touch()
        (packages / "matrix_synapse-1.163.2.dist-info").mkdir()
        (packages / "matrix_synapse-1.163.2.dist-info/METADATA").write_text(METADATA)
        self.config = directory / "homeserver.yaml"
        self.config.touch()

    def found(self) -> dict[str, Any]:
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        python = str(self.directory / "bin/python")
        return installation(run, Wanted(python=python, config_paths=[str(self.config)], user=user))

    def remedy(self) -> tuple[str, str | None]:
        found = self.found()
        assert found["version"] == "1.163.2"
        assert found["pip"] is (found["pip_remedy"] is None)
        return found["python_kind"], found["pip_remedy"]


@pytest.fixture
def virtualenv(tmp_path: Path) -> Virtualenv:
    return Virtualenv(tmp_path / "pipx/venvs/matrix-synapse")


BOXED = """Id=matrix-synapse.service
LoadState=loaded
ActiveState=active
ExecStart={ path=/usr/bin/env ; argv[]=/usr/bin/env docker start --attach matrix-synapse ; ignore_errors=no ; }
"""


def boxed(command: Sequence[str]) -> tuple[int, str, str]:
    """A host whose Synapse is in a container."""
    return (0, BOXED, "") if command[0] == "systemctl" else run(command)


def test_a_container_is_left_alone_where_others_install_the_storage_provider(tmp_path: Path) -> None:
    """With a Python of the host that has no Synapse, as beside matrix-docker-ansible-deploy."""
    config = tmp_path / "homeserver.yaml"
    config.write_text("server_name: example.org\n")
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    wanted = Wanted(service="matrix-synapse", python=sys.executable, config_paths=[str(config)], user=user)
    with pytest.raises(
        ConfigurationError, match=r"does not run Synapse \(ModuleNotFoundError: No module named 'synapse'"
    ):
        installation(boxed, wanted)
    found = installation(boxed, replace(wanted, container_ok=True))
    assert (found["service"], found["active"], found["version"]) == ("matrix-synapse.service", True, None)
    assert [process["config_paths"] for process in found["processes"]] == [[str(config)]]
    with pytest.raises(ConfigurationError, match="starts a container"):
        installation(boxed, Wanted(service="matrix-synapse", container_ok=True))


def test_an_ordinary_virtualenv_needs_ensurepip(virtualenv: Virtualenv) -> None:
    kind, remedy = virtualenv.remedy()
    assert kind == "virtualenv"
    assert f"'{virtualenv.directory}/bin/python -m ensurepip'" in str(remedy)


def test_a_virtualenv_of_uv_needs_uv(virtualenv: Virtualenv) -> None:
    with (virtualenv.directory / "pyvenv.cfg").open("a") as stream:
        stream.write("uv = 0.4.1\n")
    kind, remedy = virtualenv.remedy()
    assert kind == "uv"
    assert f"'uv pip install --python {virtualenv.directory}/bin/python pip'" in str(remedy)


def test_a_virtualenv_of_pipx_needs_pipx(virtualenv: Virtualenv) -> None:
    (virtualenv.directory / "pipx_metadata.json").write_text("{}")
    kind, remedy = virtualenv.remedy()
    assert kind == "pipx"
    assert "'pipx inject matrix-synapse pip'" in str(remedy)


def test_a_python_with_pip_needs_no_remedy(virtualenv: Virtualenv) -> None:
    (virtualenv.packages / "pip").mkdir()
    (virtualenv.packages / "pip/__init__.py").touch()
    assert virtualenv.remedy() == ("virtualenv", None)


def test_a_python_without_ensurepip_needs_the_distributions_package(
    virtualenv: Virtualenv,
) -> None:
    # Like Debian's Python without python3-venv: the module cannot be found.
    (virtualenv.packages / "hide.pth").write_text("import hide_ensurepip\n")
    (virtualenv.packages / "hide_ensurepip.py").write_text(HIDE_ENSUREPIP)
    kind, remedy = virtualenv.remedy()
    assert kind == "virtualenv"
    assert "apt install python3-venv" in str(remedy)


def test_a_python_without_pip_can_run_the_one_that_ensurepip_brings(virtualenv: Virtualenv) -> None:
    wheel = virtualenv.found()["pip_wheel"]
    shown = subprocess.run(
        [virtualenv.directory / "bin/python", "-m", "pip", "--version"],
        env={"PYTHONPATH": wheel},
        capture_output=True,
        text=True,
        check=True,
    )
    assert wheel in shown.stdout
    # What is run from there is not installed.
    assert not list(virtualenv.packages.glob("pip*"))


def test_a_virtualenv_whose_python_became_another_version_is_explained(virtualenv: Virtualenv) -> None:
    virtualenv.packages.parent.rename(virtualenv.packages.parents[1] / "python3.1")
    with pytest.raises(ConfigurationError) as caught:
        virtualenv.found()
    said = str(caught.value)
    assert f"Synapse's virtualenv {virtualenv.directory} was made with Python 3.1, and its Python is 3." in said
    assert "Make the virtualenv anew and install Synapse into it, and run again" in said
    assert not isinstance(caught.value, SynapseNotFoundError)


def test_a_virtualenv_whose_python_is_gone_is_explained(virtualenv: Virtualenv) -> None:
    python = virtualenv.directory / "bin/python"
    python.unlink()
    python.symlink_to("/usr/bin/python3.1")
    with pytest.raises(
        ConfigurationError, match=r"is a link to /usr/bin/python3\.1, which is not there any more"
    ) as caught:
        virtualenv.found()
    assert not isinstance(caught.value, SynapseNotFoundError)


def test_packages_are_not_installed_into_the_distributions_python(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text(
        "#!/bin/sh\n"
        """echo '{"python_kind": "distribution", "ensurepip": true, "pip": false, "version": "1.163.2"}'\n"""
    )
    fake.chmod(0o755)
    config = tmp_path / "homeserver.yaml"
    config.touch()
    found = installation(run, Wanted(python=str(fake), config_paths=[str(config)], user="root"))
    assert "PEP 668" in found["pip_remedy"]
    assert "ensurepip" not in found["pip_remedy"]


def test_a_missing_python_means_that_synapse_was_not_found(tmp_path: Path) -> None:
    config = tmp_path / "homeserver.yaml"
    config.touch()
    wanted = Wanted(python=str(tmp_path / "gone"), config_paths=[str(config)], user="root")
    with pytest.raises(SynapseNotFoundError, match="gone does not exist"):
        installation(run, wanted)
