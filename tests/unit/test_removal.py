# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Only the exact file that was proven is unlinked, and only empty directories are removed with it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk import removal
from file_changes import (
    append,
    put_back_another_content_with_the_old_times,
    replace_with_a_new_file,
    swap_for_a_directory,
    swap_for_a_fifo,
    swap_for_a_link,
)
from local_tree import (
    KEYS,
    LOCAL_KEY,
    everything,
    file_at,
    open_descriptors,
    put,
    remove_batch,
    store_of_an_ordinary_user,
    walk_all,
)

THIRD = "local_content/Ab/Cd"


@pytest.fixture(params=["local", "shared"], autouse=True)
def file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a file system that other hosts may write to is opened first."""
    devices = frozenset({Path(tempfile.gettempdir()).stat().st_dev})
    monkeypatch.setattr(removal, "local_devices", lambda: devices if request.param == "local" else frozenset())


def remove(root: Path, *keys: str) -> list[str | OSError]:
    files = [file_at(root, key) for key in keys]
    return remove_batch(str(root), [(file, file.identity) for file in files])


def test_a_file_is_removed_with_the_directories_it_leaves_empty(tmp_path: Path) -> None:
    for key in KEYS:
        put(tmp_path, key)
    assert remove(tmp_path, *KEYS) == ["deleted"] * 4
    assert everything(tmp_path) == ["local_content/", "local_thumbnails/", "remote_content/", "remote_thumbnail/"]


def test_directories_that_are_not_empty_stay(tmp_path: Path) -> None:
    put(tmp_path, LOCAL_KEY)
    put(tmp_path, "local_content/Ab/Ce/other")
    put(tmp_path, "remote_content/example.org/Ab/Cd/one")
    put(tmp_path, "remote_content/example.org/Ab/Cd/two")
    (tmp_path / "remote_content/example.org/Ab/Cd/empty").mkdir()
    outcomes = remove(
        tmp_path, LOCAL_KEY, "remote_content/example.org/Ab/Cd/one", "remote_content/example.org/Ab/Cd/two"
    )
    assert outcomes == ["deleted"] * 3
    assert everything(tmp_path) == [
        "local_content/",
        "local_content/Ab/",
        "local_content/Ab/Ce/",
        "local_content/Ab/Ce/other",
        "remote_content/",
        "remote_content/example.org/",
        "remote_content/example.org/Ab/",
        "remote_content/example.org/Ab/Cd/",
        "remote_content/example.org/Ab/Cd/empty/",
    ]


def test_the_media_store_may_be_a_link(tmp_path: Path) -> None:
    put(tmp_path / "disk", LOCAL_KEY)
    (tmp_path / "media_store").symlink_to(tmp_path / "disk")
    assert remove(tmp_path / "media_store", LOCAL_KEY) == ["deleted"]
    assert everything(tmp_path / "disk") == ["local_content/"]
    assert (tmp_path / "media_store").is_symlink()


def rewrite(path: Path) -> None:
    path.write_bytes(b"CONTENT")


def truncate(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize(
    "meddle",
    [
        replace_with_a_new_file,
        rewrite,
        append,
        truncate,
        put_back_another_content_with_the_old_times,
        swap_for_a_link,
        swap_for_a_directory,
        swap_for_a_fifo,
    ],
)
def test_a_file_that_changed_after_the_proof_stays(tmp_path: Path, meddle: Callable[[Path], None]) -> None:
    path = put(tmp_path, LOCAL_KEY)
    neighbour = put(tmp_path, "local_content/Ab/Cd/neighbour")
    files = [(file, file.identity) for file in walk_all(tmp_path)[0]]
    meddle(path)
    before = [name for name in everything(tmp_path) if not name.endswith("neighbour")]
    content = path.read_bytes() if path.is_file() else None
    assert remove_batch(str(tmp_path), files) == ["changed", "deleted"]
    assert everything(tmp_path) == before
    assert not neighbour.exists()
    assert content is None or path.read_bytes() == content


@pytest.mark.parametrize(
    "swapped", ["local_content", "local_content/Ab", "local_content/Ab/Cd", "remote_content/example.org:8448"]
)
def test_a_directory_that_became_a_link_is_not_followed(tmp_path: Path, swapped: str) -> None:
    """Behind the link is the very same file; only its path shows that something changed."""
    root, elsewhere = tmp_path / "media_store", tmp_path / "elsewhere"
    for key in KEYS:
        put(root, key)
    files = [(file, file.identity) for file in walk_all(root)[0] if file.path.startswith(swapped)]
    (root / swapped).rename(elsewhere)
    (root / swapped).symlink_to(elsewhere)
    before = everything(elsewhere)
    assert remove_batch(str(root), files) == ["changed"]
    assert everything(elsewhere) == before
    assert (root / swapped).is_symlink()


def test_a_link_to_the_proven_file_is_not_that_file(tmp_path: Path) -> None:
    target = put(tmp_path, "local_content/Ab/Cd/target")
    file = file_at(tmp_path, "local_content/Ab/Cd/target")
    (tmp_path / LOCAL_KEY).symlink_to(target)
    assert remove_batch(str(tmp_path), [(file._replace(path=LOCAL_KEY), file.identity)]) == ["changed"]
    assert (tmp_path / LOCAL_KEY).is_symlink()
    assert target.exists()


def test_a_path_out_of_the_media_store_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "media_store"
    put(root, LOCAL_KEY)
    secret = put(tmp_path, "secret")
    file = file_at(root, LOCAL_KEY)
    status = secret.stat()
    astray = file._replace(
        path="local_content/../../secret", inode=status.st_ino, mtime_ns=status.st_mtime_ns, ctime_ns=status.st_ctime_ns
    )
    assert remove_batch(str(root), [(astray, astray.identity)]) == ["changed"]
    assert secret.exists()


def test_a_file_that_is_gone_already_is_no_error(tmp_path: Path) -> None:
    path = put(tmp_path, LOCAL_KEY)
    put(tmp_path, "local_content/Zz/Zz/z")
    files = [(file, file.identity) for file in walk_all(tmp_path)[0]]
    path.unlink()
    (tmp_path / "local_content/Zz").rename(tmp_path / "gone")
    assert remove_batch(str(tmp_path), files) == ["vanished", "vanished"]
    assert (tmp_path / THIRD).is_dir()
    assert (tmp_path / "gone/Zz/z").exists()


def test_a_missing_media_store_is_no_error(tmp_path: Path) -> None:
    put(tmp_path / "media_store", LOCAL_KEY)
    files = [(file, file.identity) for file in walk_all(tmp_path / "media_store")[0]]
    (tmp_path / "media_store").rename(tmp_path / "gone")
    assert remove_batch(str(tmp_path / "media_store"), files) == ["vanished"]


def test_a_file_that_cannot_be_removed_is_reported_and_the_others_are_removed() -> None:
    with store_of_an_ordinary_user() as root:
        put(root, LOCAL_KEY)
        put(root, "local_content/zz/zz/z")
        files = [(file, file.identity) for file in walk_all(root)[0]]
        (root / THIRD).chmod(0o500)
        refused, outcome = remove_batch(str(root), files)
        (root / THIRD).chmod(0o700)
        assert isinstance(refused, PermissionError)
        assert outcome == "deleted"
        assert everything(root) == ["local_content/", "local_content/Ab/", "local_content/Ab/Cd/", LOCAL_KEY]


def test_a_directory_that_cannot_be_removed_stays_without_an_error() -> None:
    with store_of_an_ordinary_user() as root:
        put(root, LOCAL_KEY)
        files = [(file, file.identity) for file in walk_all(root)[0]]
        (root / "local_content/Ab").chmod(0o500)
        assert remove_batch(str(root), files) == ["deleted"]
        (root / "local_content/Ab").chmod(0o700)
        assert everything(root) == ["local_content/", "local_content/Ab/", "local_content/Ab/Cd/"]


def test_a_file_that_is_created_during_directory_removal_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, LOCAL_KEY)
    files = [(file, file.identity) for file in walk_all(tmp_path)[0]]
    prune = removal._Remover.prune

    def arrive(*arguments: Any) -> Iterator[str]:
        put(tmp_path, "local_content/Ab/Cd/new")
        return prune(*arguments)

    monkeypatch.setattr(removal._Remover, "prune", arrive)
    assert remove_batch(str(tmp_path), files) == ["deleted"]
    assert (tmp_path / "local_content/Ab/Cd/new").exists()


def test_many_files_in_any_order(tmp_path: Path) -> None:
    keys = [f"remote_content/server{number % 5}/{number % 7:02}/{number % 3:02}/{number}" for number in range(300)]
    for key in keys:
        put(tmp_path, key)
    before = open_descriptors()
    files = sorted(walk_all(tmp_path)[0], key=lambda file: file.inode * 7919 % 1009)
    assert remove_batch(str(tmp_path), [(file, file.identity) for file in files]) == ["deleted"] * 300
    assert everything(tmp_path) == ["remote_content/"]
    assert open_descriptors() == before
