# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the roles have to know of a host before they change anything. Nothing here changes it."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .synapse_media.errors import ConfigurationError
from .systemd_unit import Run

# Runs in Pythons of any age, which may lack importlib.metadata. Of two packages of one name the first is imported.
PYTHON_FACTS = """
import json, os, sys, sysconfig
facts = {"version": "%d.%d" % sys.version_info[:2], "packages": {}}
try:
    from importlib.metadata import distributions
    for found in distributions():
        if found.metadata["Name"]:
            facts["packages"].setdefault(found.metadata["Name"], found.version)
except ImportError:
    pass
try:
    import ensurepip, venv
    facts["makes_virtualenvs"] = True
except ImportError:
    facts["makes_virtualenvs"] = False
facts["packages_directory"] = sysconfig.get_path("purelib")
marked = os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED"))
facts["externally_managed"] = marked and sys.prefix == getattr(sys, "base_prefix", sys.prefix)
print(json.dumps(facts))
"""
_UNREADABLE = 'for path; do test -r "$path" || printf "%s\\n" "$path"; done'
_UNWRITABLE = 'for path; do test -d "$path" && test -w "$path" || printf "%s\\n" "$path"; done'


def path_facts(path: str) -> dict[str, Any]:
    """What is at a path; links are followed. The mode is written in octal, with a leading zero."""
    real_path = os.path.realpath(path)
    try:
        status = Path(path).stat()
    except OSError:
        nothing = dict.fromkeys(("exists", "is_directory", "is_file", "is_world_readable"), False)
        return {**nothing, "real_path": real_path}
    return {
        "exists": True,
        "real_path": real_path,
        "is_directory": stat.S_ISDIR(status.st_mode),
        "is_file": stat.S_ISREG(status.st_mode),
        "is_world_readable": bool(status.st_mode & stat.S_IROTH),
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "uid": status.st_uid,
        "gid": status.st_gid,
    }


def checksum(path: str) -> str:
    """The SHA-256 of a file in hexadecimal, empty where there is none."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def record(path: str) -> dict[str, Any] | None:
    """The JSON object in a file, None where there is no file; ConfigurationError where it holds anything else."""
    try:
        content = json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}). Run this as root.") from error
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"{path}, a record of this collection, is damaged. Restore it from a backup, or remove it: what it told "
            "is then taken as unknown."
        )
    return content


def canonical(name: str) -> str:
    """The one spelling of a package's name: pip treats boto3, Boto3 and boto.3 alike."""
    return re.sub(r"[-_.]+", "-", name).lower()


def python_facts(run: Run, python: str) -> dict[str, Any]:
    """Version, packages and abilities of a Python; `error` says why it cannot be run, and is None where it can."""
    # Isolated from this process's environment, and without writing bytecode: a look must leave no trace.
    status, output, error = run([python, "-I", "-B", "-c", PYTHON_FACTS])
    try:
        facts = json.loads(output.strip().rpartition("\n")[2]) if status == 0 else None
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        return {"error": error.strip().rpartition("\n")[2] or f"exit status {status}", "version": "", "packages": {}}
    facts["packages"] = {canonical(name): version for name, version in reversed(list(facts["packages"].items()))}
    return {**facts, "error": None, "owner": _owner(facts["packages_directory"])}


def _owner(path: str) -> str:
    try:
        return pwd.getpwuid(os.stat(path).st_uid).pw_name  # noqa: PTH116 - Path.owner() fails for users without a name
    except (OSError, KeyError):
        return "root"


@dataclass(frozen=True)
class User:
    """Synapse's user, who can do less than root, and whose answers are therefore asked for as that user."""

    name: str
    group: str
    run: Run

    def _as_user(self, command: Sequence[str]) -> tuple[int, str, str]:
        # A number need not have a name, without which there are no further groups.
        groups = "--clear-groups" if self.name.isdigit() else "--init-groups"
        become = ["setpriv", f"--reuid={self.name}", f"--regid={self.group}", groups, "--reset-env", "--"]
        return self.run([*become, *command])

    def unreadable(self, paths: Sequence[str]) -> list[str]:
        return self._failing(_UNREADABLE, paths)

    def unwritable(self, directories: Sequence[str]) -> list[str]:
        return self._failing(_UNWRITABLE, directories)

    def _failing(self, script: str, paths: Sequence[str]) -> list[str]:
        if not paths:
            return []
        status, output, error = self._as_user(["/bin/sh", "-c", f"{script}; true", "sh", *paths])
        if status != 0:
            raise ConfigurationError(
                f"Nothing could be run as the user {self.name} and the group {self.group} ({error.strip()}). "
                "Correct synapse_s3_synapse_user or synapse_s3_synapse_group."
            )
        return output.splitlines()

    def import_error(self, python: str, module: str) -> str | None:
        """The last line of what Python says when this user imports a module, None where that works."""
        status, dummy, error = self._as_user([python, "-B", "-c", f"import {module}"])
        return None if status == 0 else error.strip().rpartition("\n")[2] or f"exit status {status}"


def time_facts(run: Run, kind: str, value: str) -> dict[str, Any]:
    """Whether systemd takes a calendar expression or a time span, whether it is ever due, and what systemd says."""
    status, output, error = run(["systemd-analyze", kind, "--", value])
    return {"valid": status == 0, "is_due": "Next elapse: never" not in output, "message": error.strip()}


def unit_facts(run: Run, names: Sequence[str]) -> dict[str, Any]:
    """What systemd says of the units, by name, and which of them are `units_to_reload`: their files have changed."""
    if not names:
        return {"units": {}, "units_to_reload": []}
    properties = "--property=Id,ActiveState,UnitFileState,NeedDaemonReload"
    dummy, output, _error = run(["systemctl", "show", "--no-pager", properties, "--", *names])
    found = [unit for unit in map(_properties, output.split("\n\n")) if "Id" in unit]
    states = {"active_state": "ActiveState", "unit_file_state": "UnitFileState"}
    return {
        "units": {unit["Id"]: {state: unit.get(name, "") for state, name in states.items()} for unit in found},
        "units_to_reload": [unit["Id"] for unit in found if unit.get("NeedDaemonReload") == "yes"],
    }


def _properties(text: str) -> Mapping[str, str]:
    return {name: value for name, mark, value in (line.partition("=") for line in text.splitlines()) if mark}
