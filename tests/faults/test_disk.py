# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disk errors: full, read-only, files that cannot be read or removed, and special files."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from library import MIB, Library
from media_inventory import MediaInventory
from offload_engine import Engine
from wire_proxy import WireProxy

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount and change the owner of files")


@contextmanager
def mounted(where: Path, *arguments: str) -> Iterator[None]:
    where.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *arguments, str(where)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True)


@pytest.fixture
def filled(library: Library, inventory: MediaInventory) -> Library:
    library.add([5000] * 6, thumbnails=1)
    library.add([5000] * 2, origin="remote.example", thumbnails=1)
    inventory.record_files()
    return library


def fill_up(directory: Path) -> None:
    with (directory / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


@as_root
def test_state_directory_on_a_full_disk(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    """The run is refused with nothing done, or completes; never half, and never without a message."""
    with mounted(filled.state_dir, "-t", "tmpfs", "-o", "size=64k,mode=0700", "none"):
        filled.own(filled.state_dir)
        fill_up(filled.state_dir)
        outcome = engine.run()
        if outcome.status == 0:
            inventory.assert_all_moved()
            return
        assert outcome.status == 2, outcome.errors
        assert "space" in outcome.errors and str(filled.state_dir) in outcome.errors
        assert sorted(inventory.on_disk()) == sorted(inventory.known) and inventory.in_bucket() == {}
        (filled.state_dir / "ballast").unlink()
        assert engine.run().status == 0
    inventory.assert_all_moved()


@as_root
def test_disk_that_becomes_full_after_the_first_run(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    """Exactly when an operator needs the run: it frees the disk instead of requiring free space."""
    with mounted(filled.state_dir, "-t", "tmpfs", "-o", "size=64k,mode=0700", "none"):
        filled.own(filled.state_dir)
        assert engine.run().status == 0
        filled.add([5000] * 6)
        inventory.record_files()
        fill_up(filled.state_dir)
        outcome = engine.run()
        assert outcome.status == 0, outcome.errors
    inventory.assert_all_moved()


def test_no_file_may_grow(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    """As on a full disk, for every file that the run writes, metrics included."""
    engine.offload["metrics_file"] = str(filled.state_dir / "offload.prom")
    assert engine.run("--dry-run").status == 0

    def nothing_to_write() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    outcome = engine.run(before=nothing_to_write)
    assert outcome.status in (0, 1, 2), outcome.errors
    inventory.assert_reported(outcome)


@as_root
def test_state_directory_of_another_user(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    filled.state_dir.mkdir(mode=0o700)
    (filled.state_dir / "lock").touch(mode=0o600)
    filled.state_dir.chmod(0o555)
    outcome = engine.run()
    assert outcome.status in (0, 2), outcome.errors
    if outcome.status == 2:
        assert str(filled.state_dir) in outcome.errors
        assert sorted(inventory.on_disk()) == sorted(inventory.known) and inventory.in_bucket() == {}


@as_root
def test_read_only_media_store(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    """All files are uploaded and each is named; nothing else can happen on a read-only mount."""
    path = str(filled.media_path)
    subprocess.run(["mount", "--bind", path, path], capture_output=True, check=False)
    try:
        with mounted(filled.media_path, "-o", "remount,bind,ro"):
            outcome = engine.run()
            assert outcome.status in (1, 2), outcome.errors
            assert sorted(inventory.on_disk()) == sorted(inventory.known)
            if outcome.status == 1:
                assert outcome.failed_paths == sorted(inventory.known)
                assert inventory.in_bucket() == inventory.known
            assert outcome.files("deleted") == 0
    finally:
        subprocess.run(["umount", "--lazy", path], capture_output=True, check=False)
    assert engine.run().status == 0
    inventory.assert_all_moved()


@as_root
def test_files_that_cannot_be_removed(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    victim = sorted(inventory.known)[0]
    directory = (filled.media_path / victim).parent
    directory.chmod(0o555)
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, [victim]), outcome.errors
    assert sorted(inventory.on_disk()) == [victim] and inventory.in_bucket() == inventory.known
    # They are named again, and nothing is uploaded a second time.
    again = engine.run()
    assert (again.status, again.failed_paths, again.files("uploaded")) == (1, [victim], 0)
    directory.chmod(0o755)
    assert engine.run().status == 0
    inventory.assert_all_moved()


@as_root
@pytest.mark.parametrize("size", [5000, 17 * MIB], ids=["small", "large"])
def test_files_that_cannot_be_read(filled: Library, engine: Engine, inventory: MediaInventory, size: int) -> None:
    (item,) = filled.add([size], thumbnails=1)
    inventory.record_files()
    path = filled.media_path / item.original
    os.chown(path, 0, 0)
    path.chmod(0o600)
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, [item.original]), outcome.errors
    assert sorted(inventory.on_disk()) == [item.original]
    inventory.assert_nothing_lost()
    assert item.original not in inventory.in_bucket()
    status = path.lstat()
    assert (status.st_uid, status.st_mode & 0o7777) == (0, 0o600)


@as_root
def test_directories_that_cannot_be_read(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    """Files that cannot be seen cannot be moved, and must not be reported as moved."""
    directory = filled.media_path / sorted(inventory.known)[0].rpartition("/")[0]
    os.chown(directory, 0, 0)
    directory.chmod(0o700)
    outcome = engine.run()
    assert outcome.status == 1, outcome.errors
    assert outcome.failed_paths == [str(directory.relative_to(filled.media_path))]
    inventory.assert_nothing_lost()
    assert len(inventory.on_disk()) == 1


@as_root
def test_media_store_that_cannot_be_entered(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    os.chown(filled.media_path / "local_content", 0, 0)
    (filled.media_path / "local_content").chmod(0o700)
    outcome = engine.run()
    assert outcome.status in (1, 2), outcome.errors
    assert "local_content" in outcome.errors
    inventory.assert_nothing_lost()


def test_links_are_never_followed(filled: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy) -> None:
    """Links to a file, to a directory at every level, and to nothing, in place of media with rows."""
    outside = filled.directory / "outside"
    (outside / "cd").mkdir(parents=True)
    (outside / "cd" / "efghij").write_bytes(b"not Synapse's")
    (outside / "secret").write_bytes(b"not Synapse's either")
    filled.own(outside, outside / "cd", outside / "cd" / "efghij", outside / "secret")
    links = {
        "local_content/aa/bb/link-to-a-file": outside / "secret",
        "local_content/aa/bb/link-to-nothing": outside / "missing",
        "local_content/ab": outside,
        "local_thumbnails/aa/bb/thumbnails": outside / "cd",
        "remote_content/linked.example": outside,
    }
    for relative, target in links.items():
        path = filled.media_path / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        filled.own(path, path.parent, path.parent.parent)
    for identifier in ("aabblink-to-a-file", "aabblink-to-nothing", "abcdefghij", "aabbthumbnails"):
        filled.add_row(identifier, 13)
    filled.add_remote_row("linked.example", "cdefghij", 13)
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before
    assert all((filled.media_path / relative).is_symlink() for relative in links)
    assert inventory.in_bucket() == inventory.known
    assert outcome.skipped("symlink") == len(links)
    assert wire.count(key="link|efghij") == 0


def test_special_files(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    folder = filled.media_path / "local_content" / "aa" / "bb"
    folder.mkdir(parents=True)
    filled.own(folder, folder.parent)
    os.mkfifo(folder / "a-pipe")
    # Bound by a relative path, because the absolute one is longer than a socket's address may be.
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as unix:
        os.chdir(folder)
        unix.bind("a-socket")
        os.chdir(here)
        for name in ("a-pipe", "a-socket"):
            filled.add_row(f"aabb{name}", 0)
        outcome = engine.run()
    assert (outcome.status, outcome.skipped("special")) == (0, 2), outcome.errors
    assert sorted(path.name for path in folder.iterdir()) == ["a-pipe", "a-socket"]
    assert inventory.in_bucket() == inventory.known


def test_a_directory_in_place_of_a_file(filled: Library, engine: Engine, inventory: MediaInventory) -> None:
    """At the wrong depth, too: only what Synapse would have written is touched."""
    odd = [
        "local_content/aa/bb/directory/file",
        "local_content/file-too-high",
        "local_content/aa/file-too-high",
        "local_content/aaa/bb/three-characters",
        "local_thumbnails/aa/bb/file-in-place-of-a-directory",
        "local_thumbnails/aa/bb/cc/dd/too-deep",
        "unknown/aa/bb/rest",
    ]
    for relative in odd:
        filled.put(relative, b"odd")
    filled.add_row("aabbdirectory", 3)
    filled.add_row("aabbfile-in-place-of-a-directory", 3)
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    assert sorted(inventory.on_disk()) == sorted(odd)
    assert inventory.in_bucket() == inventory.known
