# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hard links: our own unlinks do not make the other names look changed, while changes by others do."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk import own_unlinks
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.local_file import (
    Identity,
    LocalFile,
    identity_of,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.own_unlinks import OwnUnlinks
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.removal import Removals, Removed
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.proof.evidence import Proven
from local_tree import everything, put, remove_batch, walk_all

DIRECTORY = "local_content/Ab/Cd"
# Longer than one tick of the file system's clock.
TICK = 0.02
unlink_file = os.unlink


def make_names(root: Path, count: int, name: str = "name") -> list[Path]:
    first = put(root, f"{DIRECTORY}/{name}0")
    names = [first] + [first.with_name(f"{name}{number}") for number in range(1, count)]
    for other in names[1:]:
        os.link(first, other)
    time.sleep(TICK)
    return names


def seen(root: Path) -> list[tuple[LocalFile, Identity]]:
    return [(file, file.identity) for file in walk_all(root)[0]]


def now(path: Path) -> Identity:
    return identity_of(path.lstat())


class Run:
    """The removals of one run, batch by batch."""

    def __init__(self, root: Path, threads: int = 4) -> None:
        self.loop = Loop(threads=threads)
        self.told: dict[str, Removed] = {}
        self.own_unlinks = OwnUnlinks()
        self._removals = Removals(self.loop, str(root), self.own_unlinks, 0.0, self._tell, most_jobs=threads)

    def remove(self, files: list[tuple[LocalFile, Identity]]) -> list[Removed]:
        self.loop.run(self._removals.remove([Proven(*file) for file in files]))
        return [self.told[file.path] for file, dummy in files]

    def close(self) -> None:
        self.loop.close()

    def _tell(self, proven: Proven, outcome: Removed) -> None:
        assert proven.file.path not in self.told
        self.told[proven.file.path] = outcome


def test_all_names_of_an_inode_go_in_one_batch(tmp_path: Path) -> None:
    make_names(tmp_path, 5)
    assert remove_batch(str(tmp_path), seen(tmp_path)) == ["deleted"] * 5
    assert everything(tmp_path) == ["local_content/"]


def test_all_names_of_an_inode_go_in_several_batches(tmp_path: Path) -> None:
    make_names(tmp_path, 5)
    files = seen(tmp_path)
    with contextlib.closing(Run(tmp_path)) as run:
        for file in files:
            time.sleep(TICK)
            assert run.remove([file]) == ["deleted"]


def test_a_name_outside_of_the_media_store_stays(tmp_path: Path) -> None:
    names = make_names(tmp_path / "media_store", 2)
    kept = tmp_path / "kept"
    os.link(names[0], kept)
    time.sleep(TICK)
    assert remove_batch(str(tmp_path / "media_store"), seen(tmp_path / "media_store")) == ["deleted"] * 2
    assert kept.read_bytes() == b"content"


def put_another_content_there(path: Path) -> None:
    """Only the change time (ctime) differs."""
    status = path.stat()
    path.write_bytes(b"CONTENT")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def give_it_another_mode(path: Path) -> None:
    path.chmod(0o600)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def unlink_a_name_and_put_it_back(path: Path) -> None:
    aside = path.with_name("aside")
    os.link(path, aside)
    time.sleep(TICK)
    aside.unlink()


@pytest.mark.parametrize(
    "meddle", [put_another_content_there, give_it_another_mode, append, unlink_a_name_and_put_it_back]
)
@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_change_by_others_between_ours_is_seen(tmp_path: Path, meddle: Callable[[Path], None], before: int) -> None:
    names = make_names(tmp_path, 4)
    files = seen(tmp_path)
    with contextlib.closing(Run(tmp_path)) as run:
        for file in files[:before]:
            time.sleep(TICK)
            assert run.remove([file]) == ["deleted"]
        time.sleep(TICK)
        meddle(names[3])
        time.sleep(TICK)
        content = names[3].read_bytes()
        assert run.remove(files[before:]) == ["changed"] * (4 - before)
        assert names[3].read_bytes() == content
        # Seen again, it is treated like any other file, and our own unlinks do not count as changes.
        again = seen(tmp_path)
        run.told.clear()
        assert run.remove(again[:1]) == ["deleted"]
        time.sleep(TICK)
        assert run.remove(again[1:]) == ["deleted"] * (3 - before)
        # What was seen before the change still differs.
        assert not run.own_unlinks.is_same(files[-1][1], again[-1][1])


def test_many_names_in_many_threads_in_any_order(tmp_path: Path) -> None:
    source = random.Random(6)
    for number in range(60):
        make_names_quickly(tmp_path, number, source.randrange(1, 6))
    time.sleep(TICK)
    files = seen(tmp_path)
    source.shuffle(files)
    with contextlib.closing(Run(tmp_path, threads=8)) as run:
        for start in range(0, len(files), 40):
            assert set(run.remove(files[start : start + 40])) == {"deleted"}
    assert everything(tmp_path) == ["local_content/"]


def make_names_quickly(root: Path, number: int, count: int) -> None:
    first = put(root, f"local_content/{number % 7:02}/{number % 3:02}/{number}-0")
    for other in range(1, count):
        path = root / f"local_content/{(number + other) % 7:02}/{number % 3:02}/{number}-{other}"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(first, path)


def test_a_reader_waits_for_the_unlink_of_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may read between our unlink and the moment at which we know the new change time."""
    names = make_names(tmp_path, 2)
    files = seen(tmp_path)
    unlinked, answers = threading.Event(), []

    def unlink(name: Any, *, dir_fd: int) -> None:
        unlink_file(name, dir_fd=dir_fd)
        unlinked.set()
        time.sleep(0.2)

    with contextlib.closing(Run(tmp_path)) as run:

        def read() -> None:
            assert unlinked.wait(10)
            looked = now(names[1])
            answers.append((looked == files[1][1], run.own_unlinks.is_same(files[1][1], looked)))

        reader = threading.Thread(target=read)
        reader.start()
        monkeypatch.setattr(os, "unlink", unlink)
        assert run.remove(files[:1]) == ["deleted"]
        reader.join()
        assert answers == [(False, True)]


def test_readers_and_removals_side_by_side(tmp_path: Path) -> None:
    """One thread reads a name repeatedly while others unlink the rest: the name never looks changed."""
    names = make_names(tmp_path, 200)
    files = seen(tmp_path)
    kept = [file for file in files if file[0].path.endswith("/name0")]
    others = [file for file in files if not file[0].path.endswith("/name0")]
    wrong, looks, done = [], 0, threading.Event()
    with contextlib.closing(Run(tmp_path, threads=4)) as run:

        def read() -> None:
            nonlocal looks
            while not done.is_set():
                before, after = now(names[0]), now(names[0])
                looks += 1
                if not (run.own_unlinks.is_same(kept[0][1], before) and run.own_unlinks.is_same(before, after)):
                    wrong.append((before, after))

        reader = threading.Thread(target=read)
        reader.start()
        for start in range(0, len(others), 20):
            assert set(run.remove(others[start : start + 20])) == {"deleted"}
        done.set()
        reader.join()
        assert wrong == []
        assert looks > 0
        assert run.remove(kept) == ["deleted"]


def test_a_file_with_one_name_needs_no_memory(tmp_path: Path) -> None:
    for number in range(50):
        put(tmp_path, f"{DIRECTORY}/{number}")
    with contextlib.closing(Run(tmp_path)) as run:
        run.remove(seen(tmp_path))
        assert sum(len(part._chains) for part in run.own_unlinks._parts) == 0


def test_memory_is_bounded_where_every_file_has_a_name_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a backup that uses hard links instead of copies."""
    monkeypatch.setattr(own_unlinks, "_MOST_INODES", 2)
    monkeypatch.setattr(own_unlinks, "_MOST_CHANGES", 3)
    (tmp_path / "backup").mkdir()
    for number in range(500):
        os.link(put(tmp_path / "store", f"{DIRECTORY}/{number:03}"), tmp_path / f"backup/{number}")
    names = make_names(tmp_path / "store", 10)
    os.link(names[0], tmp_path / "backup/names")
    with contextlib.closing(Run(tmp_path / "store")) as run:
        outcomes = run.remove(seen(tmp_path / "store"))
        assert outcomes[:500] == ["deleted"] * 500
        # The files that were forgotten are left for the next run.
        assert set(outcomes[500:]) <= {"deleted", "changed"}
        chains = [chain for part in run.own_unlinks._parts for chain in part._chains.values()]
        assert len(chains) <= 2 * own_unlinks._LOCKS
        assert max(len(changes) for dummy, changes in chains) <= 3
