# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs before Synapse starts puts lost packages back from wheels on the host, and leaves others as they are."""

from __future__ import annotations

import ensurepip
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROLE_FILES = Path(__file__).resolve().parents[2] / "roles" / "storage_provider" / "files"
KEPT = {"boto3": "1.44.5", "synapse-s3-storage-provider": "1.7.0"}


def wheel(folder: Path, name: str, version: str, module: str, text: str, tag: str = "py3-none-any") -> None:
    """A package of one module, as pip installs it."""
    spelled = name.replace("-", "_")
    about = f"{spelled}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{spelled}-{version}-{tag}.whl", "w") as archive:
        archive.writestr(f"{module}.py", text)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{about}/RECORD", f"{module}.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")


class Host:
    """A virtualenv with a package that looks like Synapse, without pip, and the wheels that the role keeps."""

    def __init__(self, directory: Path) -> None:
        self.kept = directory / "kept"
        self.kept.mkdir()
        for name in ("restore.sh", "restore.py"):
            shutil.copy(ROLE_FILES / name, self.kept)
        (pip,) = Path(str(ensurepip.__file__)).with_name("_bundled").glob("pip-*.whl")
        shutil.copy(pip, self.kept)
        self.keep("boto3", "boto3", "")
        self.keep("synapse-s3-storage-provider", "s3_storage_provider", "")
        self.list_kept(KEPT, pip.name)
        self.venv = directory / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.venv], check=True)
        (self.packages,) = self.venv.glob("lib/python*/site-packages")
        (self.packages / "synapse.py").touch()

    def keep(self, name: str, module: str, text: str, tag: str = "py3-none-any") -> None:
        wheel(self.kept, name, KEPT[name], module, text, tag)

    def keep_copy(self, name: str, version: str, module: str, text: str) -> None:
        """A package of no index: it is kept as it was installed, and Synapse imports it."""
        about = f"{module}-{version}.dist-info"
        files = {
            f"{module}/__init__.py": text,
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{about}/RECORD": f"{module}/__init__.py,,\n{about}/METADATA,,\n{about}/RECORD,,\n",
        }
        for path, content in files.items():
            target = self.kept / "copies" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
        (pip,) = self.kept.glob("pip-*.whl")
        self.list_kept({**KEPT, name: version}, pip.name, copies={name: [module, about]})

    def list_kept(self, packages: dict[str, str], pip: str, **more: object) -> None:
        content = {"packages": packages, "pip": pip, "python": "3.1", **more}
        (self.kept / "wheels.json").write_text(json.dumps(content))

    def start(self, status: int = 0) -> str:
        """What is said in Synapse's journal."""
        command = ["/bin/sh", str(self.kept / "restore.sh"), str(self.venv / "bin/python")]
        ended = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, check=False)
        assert (ended.returncode, ended.stdout) == (status, ""), ended.stderr
        return ended.stderr

    def versions(self) -> dict[str, str]:
        found = (path.name.removesuffix(".dist-info").rpartition("-") for path in self.packages.glob("*.dist-info"))
        return {name.replace("_", "-"): version for name, _dash, version in found}

    def added(self) -> list[str]:
        path = self.kept / "restored.json"
        found: list[str] = json.loads(path.read_text())["packages"] if path.exists() else []
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_lost_packages_are_put_back_once(host: Host) -> None:
    said = host.start()
    assert "has lost boto3, synapse-s3-storage-provider. Installing from" in said
    assert "Installed again: boto3 1.44.5, synapse-s3-storage-provider 1.7.0." in said
    assert host.versions() == KEPT
    assert host.added() == sorted(KEPT)
    assert host.start() == ""


def test_a_package_of_no_index_is_copied_back(host: Host) -> None:
    host.keep_copy("a-provider", "1.0", "a_provider", "import s3_storage_provider\n")
    copied = host.kept / "copies" / "a_provider"
    (copied / "__init__.py").chmod(0o600)
    copied.chmod(0o700)
    said = host.start()
    modes = [
        path.stat().st_mode & 0o777 for path in (host.packages / "a_provider", host.packages / "a_provider/__init__.py")
    ]
    assert modes == [0o755, 0o644], "Synapse's user could not read them"
    assert "Installed again: a-provider 1.0, boto3 1.44.5, synapse-s3-storage-provider 1.7.0." in said
    assert host.added() == ["a-provider", *sorted(KEPT)]
    (host.packages / "a_provider" / "__init__.py").unlink()
    assert "has lost a-provider." in host.start()
    assert (host.packages / "a_provider" / "__init__.py").exists()
    assert host.start() == ""


def test_what_synapse_brings_itself_stays(host: Host) -> None:
    wheel(host.packages, "boto3", "1.50.0", "boto3", "")
    (archive,) = host.packages.glob("*.whl")
    zipfile.ZipFile(archive).extractall(host.packages)
    archive.unlink()
    host.start()
    assert host.versions() == {**KEPT, "boto3": "1.50.0"}
    assert host.added() == ["synapse-s3-storage-provider"]


def test_a_package_whose_files_are_gone_is_put_back(host: Host) -> None:
    host.start()
    (host.packages / "boto3.py").unlink()
    assert "has lost boto3." in host.start()
    assert (host.packages / "boto3.py").exists()
    assert host.added() == sorted(KEPT)


def test_a_second_loss_adds_to_what_was_added_before(host: Host) -> None:
    wheel(host.packages, "boto3", "1.50.0", "boto3", "")
    (archive,) = host.packages.glob("*.whl")
    zipfile.ZipFile(archive).extractall(host.packages)
    host.start()
    shutil.rmtree(host.packages)
    host.packages.mkdir()
    (host.packages / "synapse.py").touch()
    host.start()
    assert host.added() == sorted(KEPT)


def test_a_wheel_for_another_python_is_explained(host: Host) -> None:
    (host.kept / "boto3-1.44.5-py3-none-any.whl").unlink()
    host.keep("boto3", "boto3", "", "cp31-cp31-linux_x86_64")
    said = host.start(status=1)
    assert "The wheels are of Python 3.1, and this is 3." in said
    assert "Run the playbook matrix_ops.synapse_s3.site" in said
    assert "No matching distribution found for boto3==1.44.5" in said
    assert host.added() == []


def test_a_virtualenv_without_synapse_is_explained_and_left_alone(host: Host) -> None:
    (host.packages / "synapse.py").unlink()
    said = host.start(status=1)
    assert "Synapse itself is not in" in said
    assert host.versions() == {}


def test_a_missing_python_is_explained(host: Host) -> None:
    (host.venv / "bin/python").unlink()
    assert "bin/python does not exist or cannot be run" in host.start(status=1)
