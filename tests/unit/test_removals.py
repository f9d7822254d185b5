# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every unlinked file is reported exactly once, however the run ends; and what may be unlinked."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk import removal
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.own_unlinks import OwnUnlinks
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.removal import Removals, Removed
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.proof.evidence import Proven
from local_tree import (
    LOCAL_KEY,
    everything,
    file_at,
    open_descriptors,
    put,
    remove_batch,
    store_of_an_ordinary_user,
    walk_all,
)

unlink_file, open_file, stat_file = os.unlink, os.open, os.stat


class RefusedError(Exception):
    pass


class ReportedFiles:
    """The reported files by path; fails if one is reported twice or in another thread."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Removed] = {}

    def __call__(self, proven: Proven, outcome: Removed) -> None:
        assert threading.current_thread() is threading.main_thread()
        assert proven.file.path not in self.outcomes
        self.outcomes[proven.file.path] = outcome

    @property
    def deleted(self) -> list[str]:
        return sorted(path for path, outcome in self.outcomes.items() if outcome == "deleted")


@pytest.fixture
def reported() -> ReportedFiles:
    return ReportedFiles()


@pytest.fixture(params=[1, 4])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    with contextlib.closing(Loop(threads=request.param)) as loop:
        yield loop


@pytest.fixture
def shared_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """The media store is on a file system that other hosts may write to."""
    monkeypatch.setattr(removal, "local_devices", frozenset)


def make_files(root: Path, count: int) -> list[Proven]:
    for number in range(count):
        put(root, f"local_content/{number // 100:02}/{number // 10 % 10:02}/{number}")
    return [Proven(file, file.identity) for file in walk_all(root)[0]]


def remaining(root: Path) -> list[str]:
    return [path for path in everything(root) if not path.endswith("/")]


def slow_unlinks(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    def unlink(name: Any, *, dir_fd: int) -> None:
        unlink_file(name, dir_fd=dir_fd)
        time.sleep(seconds)

    monkeypatch.setattr(os, "unlink", unlink)


@pytest.mark.parametrize("ending", ["refused", "interrupted", "at once"])
def test_a_run_that_ends_early_reports_every_removed_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: Loop, reported: ReportedFiles, ending: str
) -> None:
    files = make_files(tmp_path, 600)
    slow_unlinks(monkeypatch, 2e-3)
    removals = Removals(loop, str(tmp_path), OwnUnlinks(), 0.0, reported)

    async def main() -> None:
        task = loop.start(removals.remove(files))
        if ending != "at once":
            await loop.sleep(0.08)
        if ending == "interrupted":
            loop.interrupt(RefusedError())
            await task
        raise RefusedError

    with pytest.raises(RefusedError):
        loop.run(main())
    assert removals.finish() == 0
    gone = sorted({proven.file.path for proven in files} - set(remaining(tmp_path)))
    assert reported.deleted == gone
    assert len(gone) < 600
    if ending != "at once":
        assert gone
    # No thread continues after that.
    time.sleep(0.05)
    assert sorted({proven.file.path for proven in files} - set(remaining(tmp_path))) == gone
    assert removals.finish() == 0


def test_all_files_are_reported_in_a_run_without_errors(tmp_path: Path, loop: Loop, reported: ReportedFiles) -> None:
    files = make_files(tmp_path, 600)
    before = open_descriptors()
    removals = Removals(loop, str(tmp_path), OwnUnlinks(), 0.0, reported)
    loop.run(removals.remove(files))
    assert reported.deleted == sorted(proven.file.path for proven in files)
    assert everything(tmp_path) == ["local_content/"]
    assert removals.removed_directories == 66
    assert removals.finish() == 0
    assert open_descriptors() == before


def test_the_given_object_itself_is_returned(tmp_path: Path, loop: Loop) -> None:
    """It may be of a subclass with more fields."""

    class Evidence(Proven):
        pass

    put(tmp_path, LOCAL_KEY)
    file = file_at(tmp_path, LOCAL_KEY)
    given = Evidence(file, file.identity)
    seen: list[Proven] = []
    loop.run(
        Removals(loop, str(tmp_path), OwnUnlinks(), 0.0, lambda proven, dummy: seen.append(proven)).remove([given])
    )
    assert len(seen) == 1
    assert seen[0] is given


def test_jobs_that_never_started_are_not_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reported: ReportedFiles
) -> None:
    monkeypatch.setattr(removal, "_FILES_A_JOB", 1)
    files = make_files(tmp_path, 50)
    go_on = threading.Event()

    with contextlib.closing(Loop(threads=1)) as loop:
        removals = Removals(loop, str(tmp_path), OwnUnlinks(), 0.0, reported, most_jobs=50)

        async def main() -> None:
            # This occupies the only thread.
            loop.start(loop.in_thread(go_on.wait))
            loop.start(removals.remove(files))
            await loop.sleep(0.05)
            raise RefusedError

        with pytest.raises(RefusedError):
            loop.run(main())
        begun = time.monotonic()
        assert removals.finish() == 0
        assert time.monotonic() - begun < 5
        go_on.set()
    time.sleep(0.05)
    assert reported.outcomes == {}
    assert len(remaining(tmp_path)) == 50


def test_a_file_system_that_hangs_does_not_delay_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reported: ReportedFiles
) -> None:
    files = make_files(tmp_path, 20)
    go_on = threading.Event()

    def unlink(name: bytes, *, dir_fd: int) -> None:
        if name == b"13":
            go_on.wait(30)
        unlink_file(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink)
    with contextlib.closing(Loop(threads=2)) as loop:
        removals = Removals(loop, str(tmp_path), OwnUnlinks(), 0.0, reported)

        async def main() -> None:
            loop.start(removals.remove(files))
            await loop.sleep(0.2)
            raise RefusedError

        with pytest.raises(RefusedError):
            loop.run(main())
        begun = time.monotonic()
        assert removals.finish(patience=0.3) == 1
        assert time.monotonic() - begun < 5
    gone = sorted({proven.file.path for proven in files} - set(remaining(tmp_path)))
    assert reported.deleted == gone
    assert len(gone) == 13
    go_on.set()
    time.sleep(0.1)
    # Only the unlink that was under way.
    assert len(remaining(tmp_path)) == 6
    assert reported.deleted == gone


@pytest.mark.usefixtures("shared_file_system")
def test_slow_opens_overlap_in_small_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reported: ReportedFiles
) -> None:
    files = make_files(tmp_path, 400)

    def slowly(name: Any, flags: int, *, dir_fd: int | None = None) -> int:
        time.sleep(5e-3)
        return open_file(name, flags, dir_fd=dir_fd)

    with contextlib.closing(Loop(threads=16)) as loop:
        removals = Removals(loop, str(tmp_path), OwnUnlinks(), 0.0, reported, most_jobs=16)
        assert removals.batch_size == 128
        monkeypatch.setattr(os, "open", slowly)
        loop.run(removals.remove(files[:20]))
        assert removals.batch_size <= 2
        begun = time.monotonic()
        loop.run(removals.remove(files[20:]))
        assert time.monotonic() - begun < 380 * 5e-3
    assert len(reported.deleted) == 400


@pytest.mark.usefixtures("shared_file_system")
def test_a_cached_stat_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network file system where another host wrote: a stat by name is outdated until the file is opened."""
    path = put(tmp_path, LOCAL_KEY)
    file = file_at(tmp_path, LOCAL_KEY)
    stale, opened = path.stat(), False
    path.write_bytes(b"CONTENT")

    def look(name: Any, **options: Any) -> os.stat_result:
        return stale if os.fsencode(name).endswith(b"EfGhIjKl") and not opened else stat_file(name, **options)

    def open_and_ask(name: Any, flags: int, **options: Any) -> int:
        nonlocal opened
        opened = opened or os.fsencode(name).endswith(b"EfGhIjKl")
        return open_file(name, flags, **options)

    monkeypatch.setattr(os, "stat", look)
    monkeypatch.setattr(os, "open", open_and_ask)
    assert remove_batch(str(tmp_path), [(file, file.identity)]) == ["changed"]
    assert path.read_bytes() == b"CONTENT"


@pytest.mark.usefixtures("shared_file_system")
def test_a_file_that_takes_the_name_after_the_check_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, LOCAL_KEY)
    file = file_at(tmp_path, LOCAL_KEY)

    def open_and_replace(name: Any, flags: int, **options: Any) -> int:
        descriptor = open_file(name, flags, **options)
        if name == b"EfGhIjKl":
            other = path.with_name("other")
            other.write_bytes(b"CONTENT")
            other.replace(path)
        return descriptor

    monkeypatch.setattr(os, "open", open_and_replace)
    assert remove_batch(str(tmp_path), [(file, file.identity)]) == ["changed"]
    assert path.read_bytes() == b"CONTENT"


@pytest.mark.usefixtures("shared_file_system")
def test_a_file_that_cannot_be_opened_stays_and_is_reported() -> None:
    """Its content cannot be checked, although its directory permits the unlink."""
    with store_of_an_ordinary_user() as root:
        path = put(root, LOCAL_KEY)
        file = file_at(root, LOCAL_KEY)
        path.chmod(0)
        file = file_at(root, LOCAL_KEY)
        (outcome,) = remove_batch(str(root), [(file, file.identity)])
        assert isinstance(outcome, PermissionError)
        assert path.exists()


@pytest.mark.usefixtures("shared_file_system")
def test_the_file_is_closed_before_it_is_unlinked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS renames an open file within its directory, and that directory could not be removed then."""
    path = put(tmp_path, LOCAL_KEY)
    file = file_at(tmp_path, LOCAL_KEY)

    def unlink(name: Any, *, dir_fd: int) -> None:
        links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        assert path not in links
        unlink_file(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink)
    assert remove_batch(str(tmp_path), [(file, file.identity)]) == ["deleted"]


@pytest.mark.usefixtures("shared_file_system")
def test_the_access_time_stays(tmp_path: Path) -> None:
    """Reading by the engine is no use of the media; the remaining hard link shows the access time."""
    path = put(tmp_path, LOCAL_KEY)
    os.utime(path, (1_500_000_000, 1_700_000_000))
    os.link(path, tmp_path / "kept")
    file = file_at(tmp_path, LOCAL_KEY)
    assert remove_batch(str(tmp_path), [(file, file.identity)]) == ["deleted"]
    assert (tmp_path / "kept").stat().st_atime == 1_500_000_000


def test_an_unlinked_file_is_reported_even_if_the_check_afterwards_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, LOCAL_KEY)
    os.link(path, path.with_name("other"))
    files = [(file, file.identity) for file in walk_all(tmp_path)[0]]
    look = os.fstat
    gone = False

    def unlink(name: Any, *, dir_fd: int) -> None:
        nonlocal gone
        unlink_file(name, dir_fd=dir_fd)
        gone = True

    def fail(descriptor: int) -> os.stat_result:
        if gone and threading.current_thread() is not threading.main_thread():
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return look(descriptor)

    monkeypatch.setattr(os, "unlink", unlink)
    monkeypatch.setattr(os, "fstat", fail)
    assert remove_batch(str(tmp_path), files[:1]) == ["deleted"]
