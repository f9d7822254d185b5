# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The slow file system, mounted for the duration of a run."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paths import SLOW_FILES

# More than any program opens at once, so that the threads are not the limit.
THREADS = 512


class NotMounted(Exception):
    """The kernel or the container did not permit it."""


def reason_against() -> str:
    """Return why it cannot be mounted here, or an empty text."""
    if not SLOW_FILES.exists():
        return "it was not built, because libfuse3's headers are missing (Debian: libfuse3-dev)"
    if not Path("/dev/fuse").exists():
        return "/dev/fuse is missing, so this kernel or container mounts no FUSE file system"
    if os.geteuid() != 0:
        return "only root may mount a file system that another user enters"
    with tempfile.TemporaryDirectory() as name:
        source, mountpoint = Path(name) / "source", Path(name) / "slow"
        source.mkdir()
        mountpoint.mkdir()
        try:
            with slow_files(source, mountpoint, 0, 0):
                return ""
        except NotMounted as error:
            return f"{error} A container needs the device /dev/fuse and the capability SYS_ADMIN."


@contextmanager
def slow_files(source: Path, mountpoint: Path, open_ms: float, opendir_ms: float) -> Iterator[None]:
    """Mount `source` at `mountpoint`. Nothing else may change `source` meanwhile: names are cached."""
    command = [str(SLOW_FILES), str(source), str(mountpoint), str(open_ms), str(opendir_ms), str(THREADS)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "mounted":
            raise NotMounted(f"The slow file system was not mounted on {mountpoint}; its output is above.")
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if mountpoint.is_mount():
            subprocess.run(["umount", "--lazy", str(mountpoint)], check=True)
