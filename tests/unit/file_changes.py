# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What another program may do to a file between two looks of the engine. Each takes the file's path."""

from __future__ import annotations

import os
import time
from pathlib import Path


def replace_with_a_new_file(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(b"CONTENT")
    new.replace(path)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def put_back_another_content_with_the_old_times(path: Path) -> None:
    """Like a restore that writes in place: same inode, same size, same modification time."""
    status = path.stat()
    # Only the change time (ctime) differs, and some file systems' clocks tick 100 times a second.
    time.sleep(0.02)
    path.write_bytes(b"CONTENT")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def swap_for_a_link(path: Path) -> None:
    aside = path.with_name("aside")
    path.rename(aside)
    path.symlink_to(aside)


def swap_for_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def swap_for_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)
