# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths of media equal Synapse's own, and the walk finds the files at these paths only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import (
    LOCAL,
    REMOTE,
    Media,
    content_path,
    is_ordinary,
    media_on_disk,
    thumbnail_directory,
)

OURS = Media(LOCAL, "", "AbCdEfGhIjKl")
THEIRS = Media(REMOTE, "example.org:8448", "ZyXwVuTsRqPo")


def put(root: Path, relative: str) -> Path:
    path = root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"content")
    return path


def test_paths_equal_synapses() -> None:
    assert content_path(OURS) == "local_content/Ab/Cd/EfGhIjKl"
    assert thumbnail_directory(OURS) == "local_thumbnails/Ab/Cd/EfGhIjKl"
    assert content_path(THEIRS) == "remote_content/example.org:8448/Zy/Xw/VuTsRqPo"
    assert thumbnail_directory(THEIRS) == "remote_thumbnail/example.org:8448/Zy/Xw/VuTsRqPo"


@pytest.mark.parametrize(
    "media",
    [
        Media(LOCAL, "", "....etc"),
        Media(LOCAL, "", "ab..cdef"),
        Media(LOCAL, "", "abcd/../../x"),
        Media(LOCAL, "", "abcd"),
        Media(LOCAL, "", ""),
        Media(LOCAL, "", "abcd\0ef"),
        Media(LOCAL, "", "abcdef\udcff"),
        Media(LOCAL, "example.org", "abcdefgh"),
        Media(REMOTE, "", "abcdefgh"),
        Media(REMOTE, "..", "abcdefgh"),
        Media(REMOTE, "/etc", "abcdefgh"),
        Media(REMOTE, "a/b", "abcdefgh"),
        Media("other", "", "abcdefgh"),
    ],
)
def test_unusual_rows_are_detected(media: Media) -> None:
    assert not is_ordinary(media)


def test_ordinary_rows_are_accepted() -> None:
    assert is_ordinary(OURS)
    assert is_ordinary(THEIRS)
    assert is_ordinary(Media(REMOTE, "bücher.example", "abcde"))


def test_walk_finds_originals_and_thumbnails(tmp_path: Path) -> None:
    put(tmp_path, content_path(OURS))
    put(tmp_path, thumbnail_directory(OURS) + "/96-96-image-png-crop")
    put(tmp_path, thumbnail_directory(THEIRS) + "/32-32-image-png-scale")
    put(tmp_path, "url_cache/2026-01/01/abcdef")
    (tmp_path / thumbnail_directory(Media(LOCAL, "", "emptyemptyempty"))).mkdir(parents=True)
    assert sorted(media_on_disk(str(tmp_path))) == [OURS, OURS, THEIRS]


def test_walk_follows_no_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    put(elsewhere, content_path(OURS))
    store = tmp_path / "store"
    put(store, content_path(Media(LOCAL, "", "real-real-real")))
    (store / "local_content/li").mkdir()
    (store / "local_content/li/nk").symlink_to(elsewhere / "local_content/Ab/Cd")
    (store / "local_content/re/al/link").symlink_to(elsewhere / content_path(OURS))
    (store / "remote_content").symlink_to(elsewhere)
    assert list(media_on_disk(str(store))) == [Media(LOCAL, "", "real-real-real")]


def test_walk_skips_files_that_synapse_never_writes(tmp_path: Path) -> None:
    put(tmp_path, "local_content/A/Cd/EfGh")
    put(tmp_path, "local_content/stray")
    put(tmp_path, os.fsdecode(b"local_content/\xff\xff/ab/cd"))
    assert list(media_on_disk(str(tmp_path))) == []


def test_walk_of_an_empty_directory_finds_nothing(tmp_path: Path) -> None:
    assert list(media_on_disk(str(tmp_path))) == []
