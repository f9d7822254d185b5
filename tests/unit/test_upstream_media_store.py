# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A mark file identifies the media store; the first run has to rely on other signs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import MARK_NAME
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.media_store import MediaStore


@pytest.fixture
def store(tmp_path: Path) -> Path:
    directory = tmp_path / "media_store"
    (directory / "local_content").mkdir(parents=True)
    return directory


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir()
    return directory


def test_the_first_run_writes_a_mark_and_later_ones_require_it(store: Path, state: Path) -> None:
    first = MediaStore(str(store), state)
    first.check(5)
    assert not first.is_known
    first.remember()
    assert first.is_known
    mark = (store / MARK_NAME).read_text()
    again = MediaStore(str(store), state)
    again.check(5)
    again.remember()
    assert (store / MARK_NAME).read_text() == mark


def test_an_existing_mark_is_taken_over(store: Path, state: Path, tmp_path: Path) -> None:
    """After the loss of the state directory, or with two hosts on one media store."""
    MediaStore(str(store), state).remember()
    other = tmp_path / "other-state"
    other.mkdir()
    MediaStore(str(store), other).remember()
    assert (other / "media-store-id").read_text() == (state / "media-store-id").read_text()


def test_a_mark_of_the_operators_own_is_completed(tmp_path: Path, state: Path) -> None:
    """As one of the error messages advises: an empty file in an otherwise empty directory."""
    directory = tmp_path / "store"
    directory.mkdir()
    with pytest.raises(ConfigurationError, match="no media store"):
        MediaStore(str(directory), state).check(1)
    (directory / MARK_NAME).touch()
    store = MediaStore(str(directory), state)
    store.check(1)
    store.remember()
    assert (directory / MARK_NAME).read_text().startswith((state / "media-store-id").read_text())


def test_an_empty_directory_is_accepted_only_where_no_media_is_expected(tmp_path: Path, state: Path) -> None:
    directory = tmp_path / "store"
    directory.mkdir()
    store = MediaStore(str(directory), state)
    store.check(0)
    store.remember()
    assert list(directory.iterdir()) == []
    with pytest.raises(ConfigurationError, match=r"3 media are expected in it.*Mount the disk"):
        store.check(3)


def test_a_known_store_without_its_mark_is_refused_even_if_no_media_is_expected(store: Path, state: Path) -> None:
    known = MediaStore(str(store), state)
    known.remember()
    (store / MARK_NAME).unlink()
    with pytest.raises(ConfigurationError, match="Mount the disk it is on, or correct synapse_s3_media_path"):
        known.check(0)


def test_a_store_that_cannot_be_marked_is_used_anyway(
    store: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only deletion has to write there; uploads work from a read-only media store."""

    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_text", read_only)
    unmarked = MediaStore(str(store), state)
    unmarked.remember()
    unmarked.check(5)
    assert not unmarked.is_known


def test_a_media_store_that_is_not_a_directory(tmp_path: Path, state: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigurationError, match=r"is no directory\. Correct synapse_s3_media_path"):
        MediaStore(str(file), state).check(0)
    with pytest.raises(ConfigurationError, match="does not exist"):
        MediaStore(str(tmp_path / "nowhere"), state).check(0)


def test_links_are_resolved_once(store: Path, state: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(store)
    assert MediaStore(str(link), state).root == os.path.realpath(store)
