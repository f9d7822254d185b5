# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks the slow file system: it delays opens, permits many at once, and loses nothing."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from check_helpers import same
from paths import as_worker, give_to_worker
from slow_files import reason_against, slow_files

OPEN_MS = 20.0
THREADS = 64


def check_slow_files() -> None:
    reason = reason_against()
    if reason:
        print(f"  the slow file system is not checked: {reason}")
        return
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        source, mountpoint = directory / "source", directory / "slow"
        for path in (source, mountpoint):
            path.mkdir()
            give_to_worker(path)
        content = os.urandom(300_000)
        (source / "below").mkdir()
        (source / "below" / "file").write_bytes(content)
        with slow_files(source, mountpoint, OPEN_MS, OPEN_MS):
            _check(source, mountpoint, content)
        same("it is unmounted", list(mountpoint.iterdir()), [])
        same("changes made through it stay", sorted(path.name for path in source.iterdir()), ["below", "many"])


def _check(source: Path, slow: Path, content: bytes) -> None:
    same("a file through it", (slow / "below" / "file").read_bytes() == content, True)
    left, right = ((place / "below" / "file").stat() for place in (source, slow))
    fields = ("st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_ctime_ns")
    same("its attributes", [getattr(left, field) for field in fields], [getattr(right, field) for field in fields])
    steps = (
        "mkdir many && echo words > many/new && mv many/new many/renamed && ln many/renamed many/other && rm many/other"
    )
    subprocess.run(as_worker(["/bin/sh", "-ec", f"cd {slow} && {steps} && chmod 600 many/renamed"]), check=True)
    made = source / "many" / "renamed"
    owner = (source.stat().st_uid, 0o600, "words\n")
    same(
        "the worker can write, rename and remove files",
        (made.stat().st_uid, made.stat().st_mode & 0o777, made.read_text()),
        owner,
    )
    for number in range(4 * THREADS):
        (source / "many" / str(number)).write_bytes(b"")
    began = time.monotonic()
    (slow / "many" / "0").open().close()
    same(f"an open takes {OPEN_MS:g} ms", time.monotonic() - began >= OPEN_MS / 1000, True)
    began = time.monotonic()
    names = os.listdir(slow / "many")  # noqa: PTH208 - one open of the directory
    same("an open of a directory takes as long", time.monotonic() - began >= OPEN_MS / 1000, True)
    same("the names in a directory", len(names), 4 * THREADS + 1)
    began = time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda name: (slow / "many" / name).open().close(), names))
    took, alone = time.monotonic() - began, len(names) * OPEN_MS / 1000
    # Not a 64th of the time, because the host may be busy.
    same(f"{THREADS} threads open at once", alone / THREADS <= took < alone / 4, True)
