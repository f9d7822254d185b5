# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Digests are right, and a file other than the one that the walk saw gives a problem, never a content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.database.rows import Row
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk import content as content_module
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.content import (
    SMALL,
    Content,
    ContentProblem,
    digest_part,
    digest_sha256,
    open_file,
    read_batch,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.local_file import LocalFile
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.proof.conflict import disagreement
from file_changes import (
    append,
    put_back_another_content_with_the_old_times,
    replace_with_a_new_file,
    swap_for_a_directory,
    swap_for_a_fifo,
    swap_for_a_link,
)
from local_tree import KEYS, LOCAL_KEY, file_at, open_descriptors, put, store_of_an_ordinary_user, walk_all

SIZES = [0, 1, 19_000, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL + 7]


def read(
    root: Path,
    file: LocalFile,
    *,
    want_sha256: bool = True,
    keep: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Content | ContentProblem:
    (content,) = read_batch(str(root), [(file, want_sha256, keep)], stop)
    return content


@pytest.mark.parametrize("size", SIZES)
def test_digests_equal_those_of_the_content(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    put(tmp_path, LOCAL_KEY, data)
    file = file_at(tmp_path, LOCAL_KEY)
    md5, sha256 = hashlib.md5(data).digest(), hashlib.sha256(data).digest()
    assert read(tmp_path, file) == Content(file.identity, md5, sha256, None)
    assert read(tmp_path, file, want_sha256=False) == Content(file.identity, md5, None, None)
    kept = data if size <= SMALL else None
    assert read(tmp_path, file, keep=True) == Content(file.identity, md5, sha256, kept)


def test_results_of_a_batch_are_in_its_order(tmp_path: Path) -> None:
    for number, key in enumerate(KEYS):
        put(tmp_path, key, b"content %d" % number)
    files = {file.path: file for file in walk_all(tmp_path)[0]}
    (tmp_path / KEYS[1]).unlink()
    before = open_descriptors()
    first, gone, third, last = read_batch(
        str(tmp_path),
        [
            (files[KEYS[0]], True, False),
            (files[KEYS[1]], True, True),
            (files[KEYS[2]], False, True),
            (files[KEYS[3]], False, False),
        ],
    )
    assert open_descriptors() == before
    assert isinstance(first, Content)
    assert (first.sha256, first.data) == (hashlib.sha256(b"content 0").digest(), None)
    assert isinstance(gone, ContentProblem)
    assert gone.reason == "vanished"
    assert isinstance(third, Content)
    assert (third.sha256, third.data) == (None, b"content 2")
    assert isinstance(last, Content)
    assert last.md5 == hashlib.md5(b"content 3").digest()


def test_reading_leaves_the_access_time(tmp_path: Path) -> None:
    path = put(tmp_path, LOCAL_KEY)
    os.utime(path, ns=(1, path.stat().st_mtime_ns))
    read(tmp_path, file_at(tmp_path, LOCAL_KEY))
    assert path.stat().st_atime_ns == 1


def test_the_media_store_may_be_a_link(tmp_path: Path) -> None:
    put(tmp_path / "disk", LOCAL_KEY)
    (tmp_path / "media_store").symlink_to(tmp_path / "disk")
    assert isinstance(read(tmp_path / "media_store", file_at(tmp_path / "disk", LOCAL_KEY)), Content)


def swap_the_directory_for_a_link(path: Path) -> None:
    elsewhere = path.parents[3] / "elsewhere"
    path.parent.rename(elsewhere)
    path.parent.symlink_to(elsewhere)


def swap_the_first_level_for_a_link(path: Path) -> None:
    elsewhere = path.parents[3] / "elsewhere"
    path.parents[2].rename(elsewhere)
    path.parents[2].symlink_to(elsewhere)


@pytest.mark.parametrize(
    "meddle",
    [
        replace_with_a_new_file,
        append,
        put_back_another_content_with_the_old_times,
        swap_for_a_link,
        swap_for_a_directory,
        swap_for_a_fifo,
        swap_the_directory_for_a_link,
        swap_the_first_level_for_a_link,
    ],
)
def test_a_file_that_changed_since_the_walk(tmp_path: Path, meddle: Callable[[Path], None]) -> None:
    path = put(tmp_path, LOCAL_KEY)
    file = file_at(tmp_path, LOCAL_KEY)
    meddle(path)
    before = open_descriptors()
    problem = read(tmp_path, file)
    assert isinstance(problem, ContentProblem)
    assert problem.reason == "changed"
    assert str(problem).startswith(LOCAL_KEY)
    with pytest.raises(ContentProblem) as raised:
        open_file(str(tmp_path), file)
    assert raised.value.reason == "changed"
    assert open_descriptors() == before


def test_a_link_to_the_very_file_is_not_followed(tmp_path: Path) -> None:
    target = put(tmp_path, "local_content/Ab/Cd/target")
    file = file_at(tmp_path, "local_content/Ab/Cd/target")
    (tmp_path / LOCAL_KEY).symlink_to(target)
    problem = read(tmp_path, file._replace(path=LOCAL_KEY))
    assert isinstance(problem, ContentProblem)
    assert problem.reason == "changed"


@pytest.mark.parametrize("size", [1000, SMALL + 1000])
@pytest.mark.parametrize("change", ["rewritten", "longer", "shorter"])
def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, change: str
) -> None:
    path = put(tmp_path, LOCAL_KEY, b"x" * size)
    file = file_at(tmp_path, LOCAL_KEY)
    opened = content_module._Files.open

    def open_and_change(*arguments: object) -> int:
        descriptor = opened(*arguments)  # type: ignore[arg-type]
        if change == "rewritten":
            path.write_bytes(b"y" * size)
        else:
            os.truncate(path, size + 1 if change == "longer" else size - 1)
        return descriptor

    monkeypatch.setattr(content_module._Files, "open", open_and_change)
    problem = read(tmp_path, file)
    assert isinstance(problem, ContentProblem)
    assert problem.reason == "changed"


def test_a_file_without_read_permission() -> None:
    with store_of_an_ordinary_user() as root:
        path = put(root, LOCAL_KEY)
        path.chmod(0)
        problem = read(root, file_at(root, LOCAL_KEY))
    assert isinstance(problem, ContentProblem)
    assert problem.reason == "unreadable"
    assert "Permission denied" in str(problem)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_file_of_another_user_is_read_although_its_access_time_cannot_be_kept() -> None:
    with store_of_an_ordinary_user() as root:
        path = put(root, LOCAL_KEY)
        os.seteuid(0)
        os.chown(path, 0, 0)
        os.seteuid(65534)
        assert isinstance(read(root, file_at(root, LOCAL_KEY)), Content)


def test_reading_a_large_file_ends_when_the_run_stops(tmp_path: Path) -> None:
    put(tmp_path, LOCAL_KEY, bytes(4 * SMALL))
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    file = file_at(tmp_path, LOCAL_KEY)
    problem = read(tmp_path, file, want_sha256=False, stop=stop)
    assert isinstance(problem, ContentProblem)
    assert problem.reason == "stopped"
    assert len(asked) == 3


def test_parts_of_an_open_file(tmp_path: Path) -> None:
    data = os.urandom(3 * SMALL + 11)
    path = put(tmp_path, LOCAL_KEY, data)
    descriptor = open_file(str(tmp_path), file_at(tmp_path, LOCAL_KEY))
    try:
        assert digest_part(descriptor, 0, 5) == hashlib.md5(data[:5]).digest()
        assert digest_part(descriptor, SMALL - 1, 2 * SMALL) == hashlib.md5(data[SMALL - 1 : 3 * SMALL - 1]).digest()
        assert digest_part(descriptor, len(data) - 11, 11) == hashlib.md5(data[-11:]).digest()
        assert digest_sha256(descriptor, len(data), lambda: False) == hashlib.sha256(data).digest()
        os.truncate(path, 2 * SMALL)
        with pytest.raises(ContentProblem, match="shorter"):
            digest_part(descriptor, SMALL, 2 * SMALL)
        with pytest.raises(ContentProblem, match="stopped"):
            digest_sha256(descriptor, SMALL, lambda: True)
    finally:
        os.close(descriptor)


ONE, OTHER = b"\1" * 32, b"\2" * 32


@pytest.mark.parametrize(
    ("row", "sha256", "words"),
    [
        (Row(7, ONE, 0, False), ONE, None),
        (Row(7, None, 0, False), ONE, None),
        (Row(None, ONE, 0, False), ONE, None),
        (Row(None, None, 0, False), None, None),
        (Row(7, ONE, 0, False), None, None),
        (Row(8, ONE, 0, False), ONE, "has 7 bytes, and its row in Synapse's database says 8"),
        (Row(0, None, 0, False), None, "has 7 bytes, and its row in Synapse's database says 0"),
        (Row(7, OTHER, 0, False), ONE, "SHA-256 is 0101"),
        (Row(None, OTHER, 0, False), ONE, "says 0202"),
    ],
)
def test_a_file_is_compared_with_its_row(row: Row, sha256: bytes | None, words: str | None) -> None:
    said = disagreement(7, sha256, row)
    if words is None:
        assert said is None
    else:
        assert words in str(said)
