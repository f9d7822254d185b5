# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Only empty directories that nobody else changed lately are removed, whichever run emptied them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk import directory_ages
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.directory_ages import (
    DirectoryAges,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.local_file import identity_of
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.own_unlinks import OwnUnlinks
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.removal import Removals
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.walk import (
    EmptyDirectory,
    entries,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.proof.evidence import Proven
from local_tree import KEYS, LOCAL_KEY, everything, put, remove_batch, walk_all

MODULE_UTILS = str(Path(__file__).parents[2] / "plugins" / "module_utils")
GRACE = 60.0
FIRST_LEVEL = ["local_content/", "local_thumbnails/", "remote_content/", "remote_thumbnail/"]
DIRECTORY = "local_content/Ab/Cd"
# Longer than one tick of the file system's clock.
TICK = 0.02


def grow_old(root: Path) -> None:
    """Make all directories look unchanged for long."""
    for entry in os.walk(root):
        os.utime(entry[0], (1_700_000_000, 1_700_000_000))


def proven(root: Path) -> list[Proven]:
    return [Proven(file, file.identity) for file in walk_all(root)[0]]


def empty_directories(root: Path) -> list[str]:
    return [entry.path for entry in entries(str(root), 1) if isinstance(entry, EmptyDirectory)]


def unlink(ages: DirectoryAges, directory: int, name: bytes) -> None:
    ages.change(DIRECTORY, directory, lambda: os.unlink(name, dir_fd=directory))


@pytest.fixture
def loop() -> Iterator[Loop]:
    with contextlib.closing(Loop(threads=4)) as loop:
        yield loop


@pytest.fixture
def removals(tmp_path: Path, loop: Loop) -> Removals:
    return Removals(loop, str(tmp_path), OwnUnlinks(), GRACE, lambda dummy, outcome: None)


def remove_with_grace(root: Path) -> None:
    files = proven(root)
    assert remove_batch(str(root), [(file.file, file.identity) for file in files], GRACE) == ["deleted"] * len(files)


def test_old_directories_go_with_their_files(tmp_path: Path) -> None:
    for key in KEYS:
        put(tmp_path, key)
    grow_old(tmp_path)
    remove_with_grace(tmp_path)
    assert everything(tmp_path) == FIRST_LEVEL


def test_a_directory_that_was_changed_lately_stays(tmp_path: Path) -> None:
    """Synapse may have created it for a file that it is about to write."""
    for key in KEYS:
        put(tmp_path, key)
    grow_old(tmp_path)
    os.utime(tmp_path / DIRECTORY)
    remove_with_grace(tmp_path)
    assert everything(tmp_path) == sorted([*FIRST_LEVEL, "local_content/Ab/", "local_content/Ab/Cd/"])


def test_a_directory_with_a_time_in_the_future_stays(tmp_path: Path) -> None:
    put(tmp_path, LOCAL_KEY)
    grow_old(tmp_path)
    os.utime(tmp_path / DIRECTORY, (time.time() + 3600,) * 2)
    remove_with_grace(tmp_path)
    assert (tmp_path / DIRECTORY).is_dir()


def test_a_parent_that_was_changed_lately_stays(tmp_path: Path) -> None:
    put(tmp_path, LOCAL_KEY)
    grow_old(tmp_path)
    os.utime(tmp_path / "local_content/Ab")
    remove_with_grace(tmp_path)
    assert everything(tmp_path) == ["local_content/", "local_content/Ab/"]


def test_our_own_changes_do_not_count_as_recent(tmp_path: Path, loop: Loop, removals: Removals) -> None:
    """Not even over several batches, however the files of a directory are distributed."""
    for number in range(60):
        put(tmp_path, f"remote_content/server{number % 2}/{number % 3:02}/{number % 5:02}/{number}")
    grow_old(tmp_path)
    files = proven(tmp_path)
    random.Random(9).shuffle(files)
    for start in range(0, 60, 7):
        loop.run(removals.remove(files[start : start + 7]))
    assert everything(tmp_path) == ["remote_content/"]
    assert removals.removed_directories == 2 + 6 + 30


def make_a_file_and_remove_it(directory: Path) -> None:
    (directory / "file").touch()
    (directory / "file").unlink()


def make_a_directory_and_remove_it(directory: Path) -> None:
    (directory / "directory").mkdir()
    (directory / "directory").rmdir()


@pytest.mark.parametrize("change", [make_a_file_and_remove_it, make_a_directory_and_remove_it])
@pytest.mark.parametrize("where", [DIRECTORY, "local_content/Ab"])
def test_a_change_by_somebody_else_between_two_batches_counts(
    tmp_path: Path, loop: Loop, removals: Removals, change: Callable[[Path], None], where: str
) -> None:
    for name in ("1", "2", "3"):
        put(tmp_path, f"{DIRECTORY}/{name}")
    grow_old(tmp_path)
    one, two, three = proven(tmp_path)
    loop.run(removals.remove([one]))
    time.sleep(TICK)
    change(tmp_path / where)
    time.sleep(TICK)
    loop.run(removals.remove([two]))
    loop.run(removals.remove([three]))
    assert everything(tmp_path)[-1] == where + "/"


def test_a_directory_created_anew_is_not_the_one_we_emptied(tmp_path: Path) -> None:
    """Created right after the removal: same name, same inode on some file systems, and within one tick."""
    for dummy in range(20):
        put(tmp_path, LOCAL_KEY)
        grow_old(tmp_path)
        ages = DirectoryAges(GRACE)
        parent = os.open(tmp_path / "local_content/Ab", os.O_RDONLY)
        directory = os.open(tmp_path / DIRECTORY, os.O_RDONLY)
        unlink(ages, directory, b"EfGhIjKl")
        assert ages.is_old(DIRECTORY, (tmp_path / DIRECTORY).stat())
        os.close(directory)
        ages.rmdir(DIRECTORY, b"Cd", parent)
        (tmp_path / DIRECTORY).mkdir()
        os.close(parent)
        assert not ages.is_old(DIRECTORY, (tmp_path / DIRECTORY).stat())


def test_a_failed_removal_keeps_the_state(tmp_path: Path) -> None:
    for name in ("1", "2"):
        put(tmp_path, f"{DIRECTORY}/{name}")
    grow_old(tmp_path)
    ages = DirectoryAges(GRACE)
    parent = os.open(tmp_path / "local_content/Ab", os.O_RDONLY)
    directory = os.open(tmp_path / DIRECTORY, os.O_RDONLY)
    unlink(ages, directory, b"1")
    with pytest.raises(OSError, match="not empty"):
        ages.rmdir(DIRECTORY, b"Cd", parent)
    unlink(ages, directory, b"2")
    assert ages.is_old(DIRECTORY, (tmp_path / DIRECTORY).stat())
    os.close(directory)
    os.close(parent)


def test_memory_is_bounded_and_forgotten_directories_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: Loop, removals: Removals
) -> None:
    monkeypatch.setattr(directory_ages, "_MOST_DIRECTORIES", 2)
    for directory in ("aa", "bb", "cc"):
        for name in ("1", "2"):
            put(tmp_path, f"local_content/{directory}/xx/{name}")
    grow_old(tmp_path)
    files = proven(tmp_path)
    loop.run(removals.remove([file for file in files if file.file.path.endswith("1")]))
    assert len(removals._remover._ages._known) <= 2
    loop.run(removals.remove([file for file in files if file.file.path.endswith("2")]))
    assert [path for path in everything(tmp_path) if not path.endswith("/")] == []
    assert (tmp_path / "local_content/aa/xx").is_dir()


def test_empty_directories_of_earlier_runs_are_removed(tmp_path: Path, loop: Loop, removals: Removals) -> None:
    old = [
        "local_content/Zz/Zz",
        "local_content/Yy",
        "local_thumbnails/Ab/Cd/EfGh",
        "remote_content/gone.example/Ab/Cd",
        "remote_content/gone.example/Ab/Ce",
        "remote_thumbnail/empty.example",
    ]
    for directory in old:
        (tmp_path / directory).mkdir(parents=True)
    put(tmp_path, LOCAL_KEY)
    (tmp_path / "local_content/Ab/Xx").mkdir()
    (tmp_path / "url_cache/2020-01-01").mkdir(parents=True)
    grow_old(tmp_path)
    (tmp_path / "remote_content/young.example/Ab/Cd").mkdir(parents=True)
    os.utime(tmp_path / "remote_content/young.example/Ab", (1_700_000_000,) * 2)
    os.utime(tmp_path / "remote_content/young.example", (1_700_000_000,) * 2)
    before = everything(tmp_path)
    loop.run(removals.prune(empty_directories(tmp_path)))
    after = everything(tmp_path)
    assert after == sorted(
        [
            *FIRST_LEVEL,
            "local_content/Ab/",
            "local_content/Ab/Cd/",
            LOCAL_KEY,
            "remote_content/young.example/",
            "remote_content/young.example/Ab/",
            "remote_content/young.example/Ab/Cd/",
            "url_cache/",
            "url_cache/2020-01-01/",
        ]
    )
    assert removals.removed_directories == len(before) - len(after)


def test_a_directory_that_is_no_longer_empty_stays(tmp_path: Path, loop: Loop, removals: Removals) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = "local_content/Zz"
    for name in ("aa", "bb", "cc", "dd"):
        (tmp_path / root / name).mkdir(parents=True)
    grow_old(tmp_path)
    empty = empty_directories(tmp_path)
    assert len(empty) == 4
    put(tmp_path, f"{root}/aa/file")
    (tmp_path / root / "bb").rmdir()
    (tmp_path / root / "bb").symlink_to(outside)
    make_a_file_and_remove_it(tmp_path / root / "cc")
    # With no age required, only their contents can keep them.
    os.utime(tmp_path / root / "aa", (1_700_000_000,) * 2)
    loop.run(removals.prune([*empty, "local_content", "../outside", "local_content/Zz/../../outside", ""]))
    assert everything(tmp_path / root) == ["aa/", "aa/file", "bb/", "cc/"]
    assert outside.is_dir()
    assert removals.removed_directories == 1


def test_a_parent_that_became_a_link_is_not_followed(tmp_path: Path, loop: Loop, removals: Removals) -> None:
    (tmp_path / "local_content/Zz/aa").mkdir(parents=True)
    grow_old(tmp_path)
    empty = empty_directories(tmp_path)
    (tmp_path / "local_content/Zz").rename(tmp_path / "elsewhere")
    (tmp_path / "local_content/Zz").symlink_to(tmp_path / "elsewhere")
    loop.run(removals.prune(empty))
    assert (tmp_path / "elsewhere/aa").is_dir()


def test_thousands_of_empty_directories_in_many_batches(tmp_path: Path, loop: Loop, removals: Removals) -> None:
    for number in range(3000):
        (tmp_path / f"local_content/{number // 60:02}/{number % 60:02}").mkdir(parents=True)
    grow_old(tmp_path)
    empty = empty_directories(tmp_path)
    assert len(empty) == 3000
    for start in range(0, 3000, 700):
        loop.run(removals.prune(empty[start : start + 700]))
    assert everything(tmp_path) == ["local_content/"]
    assert removals.removed_directories == 3050


class Writer(threading.Thread):
    """Like Synapse: check for the directory, create it if missing, then create the file; no content occurs twice."""

    def __init__(self, root: Path, name: str, done: threading.Event) -> None:
        super().__init__(daemon=True)
        self._root, self._name, self._done = root, name, done
        self._random = random.Random(name)
        self.written: list[bytes] = []
        self.refused: list[str] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._done.is_set():
                self._write(f"local_content/{self._random.randrange(4):02}/{self._random.randrange(6):02}")
                time.sleep(self._random.random() * 2e-3)
        except BaseException as error:
            self.error = error

    def _write(self, directory: str) -> None:
        content = f"{self._name}:{len(self.written):06}.".encode()
        try:
            (self._root / directory).mkdir(parents=True, exist_ok=True)
            # Earlier names are used again.
            with (self._root / directory / f"{self._random.randrange(5)}").open("xb") as file:
                file.write(content)
        except FileExistsError:
            return
        except FileNotFoundError:
            self.refused.append(directory)
            return
        self.written.append(content)


def content_of(root: Path, file: Proven) -> bytes | None:
    """Return the content that was proven, or None if the file changed since it was seen or is half written."""
    try:
        with (root / file.file.path).open("rb") as opened:
            content = opened.read()
            return content if identity_of(os.fstat(opened.fileno())) == file.identity and content[-1:] == b"." else None
    except FileNotFoundError:
        return None


@pytest.mark.parametrize("seed", range(3))
def test_no_concurrent_write_is_lost(tmp_path: Path, loop: Loop, seed: int) -> None:
    """Files are created, removed and created again, in directories that are emptied and removed meanwhile."""
    removals = Removals(loop, str(tmp_path), OwnUnlinks(), 0.3, lambda dummy, outcome: outcomes.update([outcome]))
    outcomes: Counter[Any] = Counter()
    source = random.Random(seed)
    done = threading.Event()
    writers = [Writer(tmp_path, f"{seed}-{number}", done) for number in range(2)]
    bucket: set[bytes] = set()
    for writer in writers:
        writer.start()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        files = []
        for file in proven(tmp_path):
            content = content_of(tmp_path, file)
            if content is not None:
                bucket.add(content)
                files.append(file)
        source.shuffle(files)
        # Some are removed twice; by then the name has another file or none.
        loop.run(removals.remove(files[: len(files) * 3 // 4] + files[: len(files) // 4]))
        loop.run(removals.prune(empty_directories(tmp_path)))
        time.sleep(source.choice([0, 0, 0.5]))
    done.set()
    for writer in writers:
        writer.join()
        assert writer.error is None
    on_disk = {(tmp_path / file.file.path).read_bytes() for file in proven(tmp_path)}
    written = {content for writer in writers for content in writer.written}
    assert written - bucket - on_disk == set()
    assert len(written) > 100
    assert outcomes["deleted"] > 50
    assert set(outcomes) <= {"deleted", "changed", "vanished"}


def test_a_kill_between_unlink_and_rmdir(tmp_path: Path, loop: Loop, removals: Removals) -> None:
    """An empty directory that we changed a moment ago is left; a later run removes it."""
    put(tmp_path, LOCAL_KEY)
    grow_old(tmp_path)
    program = (
        "import os, signal, sys\n"
        "from synapse_media.disk import own_unlinks, removal, walk\n"
        "from synapse_media.proof import evidence\n"
        "from synapse_media.event_loop.loop import Loop\n"
        "os.rmdir = lambda *arguments, **options: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files = [evidence.Proven(file, file.identity) for file in walk.walk(sys.argv[1], print)]\n"
        "loop = Loop()\n"
        "loop.run(removal.Removals(loop, sys.argv[1], own_unlinks.OwnUnlinks(), 60.0, print).remove(files))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], env={"PYTHONPATH": MODULE_UTILS}, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    assert everything(tmp_path) == ["local_content/", "local_content/Ab/", "local_content/Ab/Cd/"]
    loop.run(removals.prune(empty_directories(tmp_path)))
    assert (tmp_path / DIRECTORY).is_dir()
    grow_old(tmp_path)
    loop.run(removals.prune(empty_directories(tmp_path)))
    assert everything(tmp_path) == ["local_content/"]


def test_a_stop_ends_directory_removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removals: Removals) -> None:
    for number in range(200):
        (tmp_path / f"local_content/{number:02}/aa").mkdir(parents=True)
    grow_old(tmp_path)
    empty = empty_directories(tmp_path)
    rmdir = os.rmdir

    def slowly(name: Any, *, dir_fd: int) -> None:
        rmdir(name, dir_fd=dir_fd)
        time.sleep(2e-3)

    monkeypatch.setattr(os, "rmdir", slowly)
    loop = removals._loop

    async def main() -> None:
        loop.start(removals.prune(empty))
        await loop.sleep(0.05)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.run(main())
    assert removals.finish() == 0
    remaining = len(everything(tmp_path))
    assert remaining > 1
    assert removals.removed_directories == 401 - remaining
    time.sleep(0.05)
    assert len(everything(tmp_path)) == remaining
