# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths of the benchmarks' parts, and the user who runs the measured programs."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "benchmarks"
RESULTS = ROOT / "benchmarks" / "results"
PACKAGE = ROOT / "plugins" / "module_utils" / "synapse_media"

STORE = CACHE / "store"
LOAD = CACHE / "load"
MEASURE = CACHE / "measure"
FILES = CACHE / "files"
# Only if libfuse3 was available to build it.
SLOW_FILES = CACHE / "slow-files"
PYTHON = CACHE / "venv" / "bin" / "python"
AWS = CACHE / "venv" / "bin" / "aws"
RCLONE = CACHE / "venv" / "bin" / "rclone"
JUICEFS = CACHE / "venv" / "bin" / "juicefs"
AWSCRT = CACHE / "awscrt"
# A Synapse with upstream's storage provider; only the figure downloads needs it.
SYNAPSE = CACHE / "synapse" / "bin" / "python"
SCRIPT = CACHE / "venv" / "bin" / "s3_media_upload"

BUCKET = "bench"
# The server does not check them.
ACCESS_KEY_ID = "bench"
SECRET_ACCESS_KEY = "bench-secret"  # noqa: S105 - of a store on loopback that checks none

# The engine refuses a media store of root's, so the measured programs run as another user.
WORKER = "nobody"


def s5cmd() -> Path:
    """The program itself: the package's command of that name is a Python script around it."""
    return next((CACHE / "venv" / "lib").glob("python*/site-packages/s5cmd/bin/s5cmd"))


def as_worker(command: list[str]) -> list[str]:
    if os.geteuid() != 0:
        return command
    account = pwd.getpwnam(WORKER)
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--", *command]


def give_to_worker(path: Path) -> None:
    if os.geteuid() == 0:
        account = pwd.getpwnam(WORKER)
        os.chown(path, account.pw_uid, account.pw_gid)


def need_tools() -> None:
    missing = [
        str(path)
        for path in (STORE, LOAD, FILES, MEASURE, PYTHON, AWS, AWSCRT, RCLONE, JUICEFS, SCRIPT)
        if not path.exists()
    ]
    if missing:
        sys.exit(f"Not there: {', '.join(missing)}. Run `make -C benchmarks setup` first.")
    if os.geteuid() == 0 and subprocess.run(as_worker([str(PYTHON), "-c", ""]), check=False).returncode:
        sys.exit(
            f"The user {WORKER}, who runs all that is measured, cannot run {PYTHON}. Make the checkout readable to"
            " others, and run `make -C benchmarks clean setup` with a PYTHON= that is."
        )
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        sys.exit("PostgreSQL's server is not installed. Install the package postgresql.")
