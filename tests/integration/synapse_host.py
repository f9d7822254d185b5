# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real Synapse of the test host: its facts, copies of its files, its Python with and without the provider."""

from __future__ import annotations

import grp
import importlib
import json
import os
import pwd
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ansible
from run_module import run_module, run_module_process

FACTS = Path("/opt/test-tools/homeserver/facts.json")
SECRET = "an-s3cret:#'\"\\ü"
# Secrets that no module may print: ours, and those in the operator's homeserver.yaml.
OPERATORS_SECRETS = (
    "not-a-secret-database-of-tests",
    "not-a-secret-registration-of-tests",
    "not-a-secret-macaroon-of-tests",
    "not-a-secret-form-of-tests",
)


def facts() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FACTS.read_text(encoding="utf-8"))
    return found


def module_environment() -> dict[str, str]:
    """Lets Synapse's Python import Ansible and the collection, as AnsiballZ does on a real host."""
    collection = importlib.import_module("ansible_collections.matrix_ops.synapse_s3.plugins")
    root = Path(next(iter(collection.__path__))).parents[3]
    return {"PYTHONPATH": f"{root}:{Path(ansible.__file__).parents[1]}", "PYTHONDONTWRITEBYTECODE": "1"}


def synapse_python(directory: Path, with_provider: bool) -> str:
    """A Python that runs the host's Synapse; the host's own virtualenv is not changed."""
    packages = [
        f"{facts()['python'].removesuffix('/bin/python')}/lib/python{sysconfig.get_python_version()}/site-packages"
    ]
    if with_provider:
        packages.append(sysconfig.get_paths()["purelib"])
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(directory)], check=True)
    (own,) = directory.glob("lib/python*/site-packages")
    (own / "synapse.pth").write_text("\n".join(packages) + "\n")
    return str(directory / "bin/python")


class SynapseHost:
    """Copies of Synapse's files in a directory that Synapse's user can enter, and the module that edits them."""

    def __init__(self, directory: Path, python: str) -> None:
        self.directory = directory
        self.python = python
        known = facts()
        self.user: str = known["user"]
        self.account = pwd.getpwnam(self.user)
        self.main = directory / "homeserver.yaml"
        self.conf_d = directory / "conf.d"
        self.config_paths = [str(self.main)]
        shutil.copyfile(known["config_paths"][0], self.main)
        self.give_to_synapse(self.main)

    def give_to_synapse(self, path: Path, mode: int = 0o640) -> None:
        path.chmod(mode)
        os.chown(path, 0, self.account.pw_gid)

    def drop_in(self, name: str, text: str) -> Path:
        """A file in conf.d, which Synapse reads from now on."""
        if not self.conf_d.is_dir():
            self.conf_d.mkdir(mode=0o755)
            self.config_paths.append(str(self.conf_d))
        path = self.conf_d / name
        path.write_text(text, encoding="utf-8")
        self.give_to_synapse(path)
        return path

    def append(self, text: str) -> None:
        with self.main.open("a", encoding="utf-8") as stream:
            stream.write(text)

    def arguments(self, **changes: Any) -> dict[str, Any]:
        given = {
            "config_paths": self.config_paths,
            "python": self.python,
            "user": self.user,
            "working_directory": self.account.pw_dir,
            "keys_directory": "/etc/matrix-synapse",
            "bucket": "media",
            "prefix": "synapse/",
            "endpoint_url": "http://127.0.0.1:9000",
            "access_key_id": "AKIDEXAMPLE",
            "secret_access_key": SECRET,
        }
        return {**given, **changes}

    def config(self, check: bool = False, **changes: Any) -> dict[str, Any]:
        return run_module(
            "storage_provider_config",
            self.arguments(**changes),
            check=check,
            diff=True,
            python=self.python,
            environment=module_environment(),
        )

    def config_output(self, check: bool = False, **changes: Any) -> str:
        done = run_module_process(
            "storage_provider_config",
            self.arguments(**changes),
            check=check,
            diff=True,
            python=self.python,
            environment=module_environment(),
        )
        return done.stdout + done.stderr

    def state(self) -> Mapping[str, tuple[Any, ...]]:
        """Everything by which a changed file would differ."""
        found = {}
        for path in [self.directory, *sorted(self.directory.rglob("*"))]:
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else None
            access = (status.st_mode, status.st_uid, status.st_gid, status.st_ino, status.st_mtime_ns)
            found[str(path.relative_to(self.directory))] = (content, *access)
        return found

    def contents(self) -> dict[str, bytes]:
        return {name: facts[0] for name, facts in self.state().items() if facts[0] is not None}

    def access(self, path: Path) -> tuple[str, str, str]:
        status = path.stat()
        mode = f"{status.st_mode & 0o7777:04o}"
        return mode, pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name

    def as_synapse(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            user=self.account.pw_uid,
            group=self.account.pw_gid,
            extra_groups=[],
            cwd=self.account.pw_dir,
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )

    def synapse_accepts(self) -> str:
        """What Synapse prints about the files as they are on disk, read as its own user."""
        paths = [argument for path in self.config_paths for argument in ("-c", path)]
        keys = ["--keys-directory", "/etc/matrix-synapse"]
        done = self.as_synapse(self.python, "-B", "-m", "synapse.config", *paths, *keys)
        return done.stdout + done.stderr
