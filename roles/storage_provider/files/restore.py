# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Puts the storage provider back into this Python from wheels on the host, without network, if it was lost.

Usage: restore.py LIST. Run by Synapse's Python, as the owner of its packages.

LIST is the JSON file that the role storage_provider keeps beside the wheels: {"packages": {name: version}, "copies":
{name of a package that is no wheel: its directories, in the folder copies}, "pip": file name of a wheel of pip,
"python": the version of Python that the wheels were made with}. A package that this Python has in another version stays
as it is. Prints the names of the packages that were installed, one a line, and on the standard error what a reader of
Synapse's journal should know. Exit status 1 if they could not be installed. Nothing is imported, because that takes
Synapse long, and systemd limits the time of a start.
"""

from __future__ import annotations

import csv
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any


def lost(packages: dict[str, str]) -> tuple[list[str], list[str]]:
    """Those that this Python does not have, and those that lack a file, as where another package removed it."""
    present: dict[str, importlib.metadata.Distribution] = {}
    for found in importlib.metadata.distributions():
        if found.metadata["Name"]:
            # Of two with one name the first is imported.
            present.setdefault(re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower(), found)
    absent = [name for name in packages if name not in present]
    same = [name for name, version in packages.items() if name in present and present[name].version == version]
    return sorted(absent), sorted(name for name in same if not is_whole(present[name]))


def is_whole(package: importlib.metadata.Distribution) -> bool:
    # Not its `files`, which leaves out what is missing. Compiled Python may come and go.
    listed = (row[0] for row in csv.reader((package.read_text("RECORD") or "").splitlines()) if row)
    return all(os.path.exists(str(package.locate_file(path))) for path in listed if not path.endswith(".pyc"))  # noqa: PTH110


def install(folder: Path, pip: str, requirements: list[str]) -> str:
    """What pip said if it failed; empty if it did not."""
    options = ["--quiet", "--no-index", "--no-deps", "--force-reinstall", "--find-links", str(folder)]
    environment = {
        "PATH": os.defpath,
        # This Python need not have a pip of its own.
        "PYTHONPATH": str(folder / pip),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PYTHONNOUSERSITE": "1",
    }
    command = [sys.executable, "-m", "pip", "install", *options, *requirements]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, cwd="/", check=False)
    return "" if ended.returncode == 0 else ended.stderr.strip() or f"exit status {ended.returncode}"


def copy(folder: Path, directories: list[str]) -> None:
    """Copies directories that are kept beside the wheels to the packages of this Python."""
    for name in directories:
        target = Path(sysconfig.get_path("purelib")) / name
        shutil.copytree(folder / "copies" / name, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pyc"))
        # Synapse's user, who need not be their owner, has to read them, whatever the modes of the copies are.
        for path in (target, *target.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)


def put_back(folder: Path, kept: dict[str, Any], names: list[str]) -> str:
    """What went wrong; empty if nothing did."""
    packages, copies = kept["packages"], kept.get("copies", {})
    wheels = [f"{name}=={packages[name]}" for name in names if name not in copies]
    problem = install(folder, kept["pip"], wheels) if wheels else ""
    if problem:
        return problem
    try:
        copy(folder, [directory for name in names for directory in copies.get(name, [])])
    except OSError as error:
        return str(error)
    return ""


def restore(path: Path) -> int:
    kept = json.loads(path.read_text(encoding="utf-8"))
    packages: dict[str, str] = kept["packages"]
    absent, damaged = lost(packages)
    names = absent + damaged
    if not names:
        return 0
    version = ".".join(map(str, sys.version_info[:2]))
    if importlib.util.find_spec("synapse") is None:
        say(
            f"Synapse itself is not in {sys.executable}, which is Python {version} now. After an upgrade of the "
            "distribution its virtualenv has to be made anew; the storage provider follows by itself."
        )
        return 1
    say(f"{sys.executable} has lost {', '.join(names)}. Installing from {path.parent}, without network.")
    problem = put_back(path.parent, kept, names)
    if problem:
        say(
            f"The storage provider could not be installed. The wheels are of Python {kept['python']}, and this is "
            f"{version}. Run the playbook matrix_ops.synapse_s3.site, which installs what fits. The reason: {problem}"
        )
        return 1
    say(f"Installed again: {', '.join(f'{name} {packages[name]}' for name in names)}.")
    sys.stdout.write("".join(f"{name}\n" for name in absent))
    return 0


def say(text: str) -> None:
    sys.stderr.write(f"matrix_ops.synapse_s3: {text}\n")


if __name__ == "__main__":
    sys.exit(restore(Path(sys.argv[1]).resolve()))
