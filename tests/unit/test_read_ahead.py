# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where opens are slow, several threads read ahead; the results are the same as without them."""

from __future__ import annotations

import errno
import gc
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk import directories, read_ahead
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.walk import (
    EmptyDirectory,
    Entry,
    Left,
    LocalFile,
    entries,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from local_tree import open_descriptors, put

MODULE_UTILS = str(Path(__file__).parents[2] / "plugins" / "module_utils")
open_file = os.open


@pytest.fixture(autouse=True)
def threads_of_other_tests_have_ended() -> None:
    wait_until(lambda: walking_threads() == 0)


class SlowOpens:
    """Delays every open of a subdirectory by this many seconds."""

    def __init__(self, delay: Callable[[], float]) -> None:
        self.delay = delay
        self.begun = 0
        self.under_way = 0
        self.most_under_way = 0
        self._lock = threading.Lock()

    def __call__(self, name: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is None:
            return open_file(name, flags, mode)
        with self._lock:
            self.begun += 1
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        time.sleep(self.delay())
        with self._lock:
            self.under_way -= 1
        return open_file(name, flags, mode, dir_fd=dir_fd)


@pytest.fixture
def slow_opens(monkeypatch: pytest.MonkeyPatch) -> SlowOpens:
    slow = SlowOpens(lambda: 5e-3)
    monkeypatch.setattr(os, "open", slow)
    return slow


@pytest.fixture
def threads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "_SLOW", -1.0)


def walking_threads() -> int:
    return sum(thread.name == "offload-walk" for thread in threading.enumerate())


def wait_until(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not reached() and time.monotonic() < until:
        time.sleep(0.01)
    assert reached()


def make_tree(root: Path, seed: int) -> None:
    """A tree with everything that may occur: media of both kinds, empty directories, links, unknown files at each
    level.
    """
    source = random.Random(seed)
    pairs = ["aa", "ab", "a.", "zz", "é!"]
    origins = ["a", "a.b", "a-b", "ab", "example.org:8448"]
    for dummy in range(source.randrange(120)):
        first = source.choice(["local_content", "local_thumbnails", "remote_content", "remote_thumbnail"])
        parts = [first, *([source.choice(origins)] if first.startswith("remote") else [])]
        parts += [source.choice(pairs), source.choice(pairs)]
        parts += [f"rest{source.randrange(9)}"] if "thumb" in first else []
        kind = source.randrange(10)
        depth = source.randrange(2, len(parts) + 1)
        above = root.joinpath(*parts[: depth - 1])
        if any(not path.is_dir() or path.is_symlink() for path in [above, *above.parents] if path.exists()):
            continue
        try:
            if kind < 6:
                put(root, "/".join([*parts, f"file{source.randrange(50)}"]))
            elif kind == 6:
                root.joinpath(*parts[:depth]).mkdir(parents=True, exist_ok=True)
            elif kind == 7:
                above.mkdir(parents=True, exist_ok=True)
                (above / parts[depth - 1]).symlink_to(root)
            elif kind == 8:
                put(root, "/".join([*parts[:depth], "out of place"]))
            else:
                (root.joinpath(*parts) / "directory").mkdir(parents=True)
        except (FileExistsError, NotADirectoryError):
            continue


@pytest.mark.usefixtures("threads_at_once")
def test_the_order_is_the_same_as_without_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: set[type[Entry]] = set()
    for seed in range(25):
        root = tmp_path / str(seed)
        root.mkdir()
        make_tree(root, seed)
        with monkeypatch.context() as without:
            without.setattr(read_ahead, "_SLOW", 1e9)
            expected = list(entries(str(root), 8))
        delays = random.Random(seed)
        with monkeypatch.context() as slowly:
            slowly.setattr(os, "open", SlowOpens(lambda delays=delays: delays.choice([0, 0, 1e-3, 5e-3])))  # type: ignore[misc]
            slowly.setattr(read_ahead, "_MOST_AHEAD", random.Random(seed).choice([4, 40, 10_000]))
            slowly.setattr(read_ahead, "_MOST_OF_ONE", random.Random(seed).choice([2, 1000]))
            assert list(entries(str(root), 8)) == expected
        paths = [entry.path for entry in expected if isinstance(entry, LocalFile)]
        assert paths == sorted(paths, key=str.encode)
        kinds.update(map(type, expected))
    assert kinds == {LocalFile, Left, EmptyDirectory}


@pytest.fixture(scope="module")
def many_directories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 files, each in a directory of its own."""
    root = tmp_path_factory.mktemp("media_store")
    for number in range(2000):
        put(root, f"local_content/{number // 40:02}/{number % 40:02}/{number}")
    return root


def test_slow_opens_overlap(many_directories: Path, slow_opens: SlowOpens) -> None:
    begun = time.monotonic()
    files = [entry for entry in entries(str(many_directories), 64) if isinstance(entry, LocalFile)]
    seconds = time.monotonic() - begun
    assert len(files) == 2000
    # One after the other, the opens take at least this long.
    assert seconds < slow_opens.begun * 5e-3 / 3
    assert 16 < slow_opens.most_under_way <= 65


def test_no_more_threads_than_allowed(many_directories: Path, slow_opens: SlowOpens) -> None:
    slow_opens.delay = lambda: 1e-3
    assert len(list(entries(str(many_directories), 3))) == 2000
    # Those threads and the walk itself.
    assert 2 <= slow_opens.most_under_way <= 4


def test_a_fast_disk_gets_no_threads(many_directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "_SLOW", 2e-3)
    for entry in entries(str(many_directories), 64):
        assert entry and walking_threads() == 0


def test_threads_end_where_the_disk_turns_out_to_be_fast(many_directories: Path, slow_opens: SlowOpens) -> None:
    walk = entries(str(many_directories), 8)
    slow_opens.delay = lambda: 2e-3
    for dummy in range(200):
        next(walk)
    assert walking_threads() > 0
    slow_opens.delay = lambda: 0.0
    read_ahead_slow = read_ahead._SLOW
    try:
        read_ahead._SLOW = 0.1
        assert sum(1 for dummy in walk) == 1800
    finally:
        read_ahead._SLOW = read_ahead_slow
    wait_until(lambda: walking_threads() == 0)


@pytest.mark.usefixtures("threads_at_once")
def test_reading_ahead_is_bounded(many_directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = SlowOpens(lambda: 0.0)
    monkeypatch.setattr(os, "open", counting)
    monkeypatch.setattr(read_ahead, "_MOST_AHEAD", 100)
    walk = entries(str(many_directories), 4)
    next(walk)
    time.sleep(0.3)
    assert counting.begun <= 110
    # It continues once some entries were used.
    assert sum(1 for dummy in walk) == 1999


@pytest.mark.usefixtures("threads_at_once")
def test_a_large_directory_is_read_only_when_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "_MOST_OF_ONE", 10)
    for directory in ("aa", "ab", "ac"):
        for number in range(25):
            put(tmp_path, f"local_content/{directory}/xx/{number:02}")
    before = open_descriptors()
    walk = entries(str(tmp_path), 4)
    first = [next(walk).path for dummy in range(30)]
    assert first[-1] == "local_content/ab/xx/04"
    walk.close()
    wait_until(lambda: open_descriptors() == before)
    assert [entry.path[-2:] for entry in entries(str(tmp_path), 4)] == [f"{number:02}" for number in range(25)] * 3


@pytest.mark.usefixtures("slow_opens")
@pytest.mark.parametrize("how", ["closed", "abandoned", "abandoned in a cycle", "ended"])
def test_threads_and_descriptors_end_with_the_walk(many_directories: Path, how: str) -> None:
    before = open_descriptors()
    walk: Iterator[Entry] = entries(str(many_directories), 16)
    for dummy in range(100):
        next(walk)
    assert walking_threads() > 1
    if how == "closed":
        walk.close()  # type: ignore[attr-defined]
    elif how == "ended":
        assert sum(1 for dummy in walk) == 1900
    else:
        if how == "abandoned in a cycle":
            cycle: list[Any] = [walk]
            cycle.append(cycle)
            del cycle
        del walk
        gc.collect()
    wait_until(lambda: walking_threads() == 0 and open_descriptors() == before)


def test_a_process_can_end_during_a_walk(many_directories: Path) -> None:
    program = (
        "import os, sys, time; from synapse_media.disk import read_ahead, walk; read_ahead._SLOW = -1.0\n"
        "opened = os.open\n"
        "def slowly(*arguments, dir_fd=None):\n"
        "    time.sleep(0 if dir_fd is None else 0.05)\n"
        "    return opened(*arguments, dir_fd=dir_fd)\n"
        "os.open = slowly\n"
        "kept = walk.entries(sys.argv[1], 16); print(next(kept).path)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(many_directories)],
        env={"PYTHONPATH": MODULE_UTILS},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("local_content/00/00/0\n", "")


@pytest.mark.usefixtures("threads_at_once")
def test_an_error_in_a_thread_is_raised_by_the_walk(many_directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, dir_fd: int | None = None) -> int:
        if threading.current_thread().name == "offload-walk":
            raise ZeroDivisionError
        if dir_fd is not None:
            time.sleep(0.02)
        return open_file(*arguments, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(ZeroDivisionError):
        list(entries(str(many_directories), 4))
    wait_until(lambda: walking_threads() == 0)


@pytest.mark.usefixtures("threads_at_once")
@pytest.mark.parametrize("lasts", [False, True])
def test_too_few_descriptors_wait_and_then_give_an_error(
    many_directories: Path, monkeypatch: pytest.MonkeyPatch, lasts: bool
) -> None:
    monkeypatch.setattr(directories, "_PATIENCE", 0.1)
    refusals = 0

    def refuse(*arguments: Any, dir_fd: int | None = None) -> int:
        nonlocal refusals
        if dir_fd is not None and random.random() < 0.05:
            refusals += 1
        if dir_fd is not None and refusals and (lasts or refusals % 2):
            refusals += 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return open_file(*arguments, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    if lasts:
        with pytest.raises(MediaError, match=r"Too many open files.*LimitNOFILE"):
            list(entries(str(many_directories), 4))
    else:
        assert len(list(entries(str(many_directories), 4))) == 2000
    assert refusals
