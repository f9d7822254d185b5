# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Windows of the walk: files with their rows, skipped files, and empty directories."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.database.rows import Row
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import Media
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload import selection as windows
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.selection import (
    Rules,
    Window,
    Windows,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.settings import Shard
from local_tree import KEYS, open_descriptors, put

RULES = Rules(older_than=timedelta(0), grace=timedelta(0), store_remote=True)
WHOLE = Shard(1, 1)
OLD = Row(7, None, 0, False)


class EveryRow:
    """A database that has a row for everything."""

    def look_up(self, media: Sequence[Media]) -> dict[Media, Row]:
        return dict.fromkeys(media, OLD)


def all_windows(root: Path, shard: Shard = WHOLE, most_threads: int = 4) -> list[Window]:
    rows: Any = EveryRow()
    reading = Windows(str(root), rows, RULES, shard, time.time(), most_threads=most_threads)
    found: list[Window] = []
    while True:
        window = reading.next()
        if window is None:
            return found
        found.append(window)


def test_empty_directories_are_passed_on_where_synapse_has_directories(tmp_path: Path) -> None:
    for key in KEYS:
        put(tmp_path, key)
    empty = [
        "local_content/Ab/Ce",
        "local_content/Zz",
        "local_thumbnails/Ab/Cd/empty",
        "local_thumbnails/Ab/Ce",
        "remote_content/empty.example",
        "remote_content/example.org:8448/Zy/Xx",
        "remote_thumbnail/example.org:8448/Zy/Xw/empty",
    ]
    others = [
        "local_content/A",
        "local_content/Ab/Cd/directory",
        "remote_content/example.org:8448/odd",
        "url_cache/2026-01-01",
        "elsewhere/aa/bb",
    ]
    for directory in [*empty, *others]:
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "local_content/Li").symlink_to(tmp_path / "local_content/Zz")
    (window,) = all_windows(tmp_path)
    assert window.empty_directories == empty
    assert [candidate.file.path for candidate in window.candidates] == KEYS


def test_top_level_directories_are_never_passed_on(tmp_path: Path) -> None:
    for first in ("local_content", "local_thumbnails", "remote_content", "remote_thumbnail"):
        (tmp_path / first).mkdir()
    assert all_windows(tmp_path) == []


def test_each_shard_has_its_own_empty_directories(tmp_path: Path) -> None:
    directories = [f"local_content/{number:02}/xx" for number in range(60)]
    for directory in directories:
        (tmp_path / directory).mkdir(parents=True)
    shares = [
        [path for window in all_windows(tmp_path, Shard(index, 3)) for path in window.empty_directories]
        for index in (1, 2, 3)
    ]
    assert sorted(path for share in shares for path in share) == directories
    assert all(len(share) > 5 for share in shares)


@pytest.mark.parametrize("what", ["empty directories", "fifos"])
def test_a_window_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(windows, "_MOST_OTHERS", 50)
    for number in range(175):
        directory = tmp_path / f"local_content/{number // 10:02}/{number % 10:02}"
        directory.mkdir(parents=True)
        if what == "fifos":
            os.mkfifo(directory / "fifo")
    put(tmp_path, "local_content/17/99/file")
    found = all_windows(tmp_path)
    assert [len(window.empty_directories) + len(window.left) for window in found] == [50, 50, 50, 25]
    assert [len(window.candidates) for window in found] == [0, 0, 0, 1]


def test_hundreds_of_thousands_of_empty_directories_take_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a bounded number is in memory at a time, however many are left."""
    for number in range(3000):
        (tmp_path / f"local_content/{number // 60:02}/{number % 60:02}").mkdir(parents=True)
    monkeypatch.setattr(windows, "_MOST_OTHERS", 100)
    rows: Any = EveryRow()
    reading = Windows(str(tmp_path), rows, RULES, WHOLE, time.time())
    total = 0
    window = reading.next()
    while window is not None:
        assert len(window.empty_directories) <= 100
        total += len(window.empty_directories)
        window = reading.next()
    assert total == 3000


def test_closing_ends_the_walk(tmp_path: Path) -> None:
    for number in range(1500):
        put(tmp_path, f"local_content/aa/bb/{number}")
    before = open_descriptors()
    rows: Any = EveryRow()
    reading = Windows(str(tmp_path), rows, RULES, WHOLE, time.time())
    window = reading.next()
    assert window is not None
    assert open_descriptors() > before
    reading.close()
    assert open_descriptors() == before
    assert reading.next() is None
