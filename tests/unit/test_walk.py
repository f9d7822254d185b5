# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The walk is in S3's order; it finds the files that Synapse wrote, reports others and follows no link."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import (
    LOCAL,
    REMOTE,
    Media,
    content_path,
    is_ordinary,
    thumbnail_directory,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.local_file import (
    LocalFile,
    identity_of,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.walk import walk
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from hypothesis import given, settings
from hypothesis import strategies as st
from local_tree import (
    KEYS,
    LOCAL_KEY,
    LOCAL_THUMBNAIL_KEY,
    REMOTE_KEY,
    REMOTE_THUMBNAIL_KEY,
    open_descriptors,
    put,
    store_of_an_ordinary_user,
    walk_all,
)

MODULE_UTILS = str(Path(__file__).parents[2] / "plugins" / "module_utils")

# Characters before and after the slash, characters whose order differs in UTF-16, and all others.
LETTERS = st.one_of(st.sampled_from("ab!-./0~é\uffdc\U0001f600\U00010000"), st.characters()).filter(
    lambda letter: letter.isprintable() and letter != "/"
)


def names(smallest: int, largest: int) -> st.SearchStrategy[str]:
    return st.text(LETTERS, min_size=smallest, max_size=largest).filter(
        lambda name: name not in (".", "..") and len(name.encode()) < 256
    )


PAIRS = names(2, 2)
NAMES = names(1, 12)
ANY_KEY = st.one_of(
    st.tuples(st.just("local_content"), PAIRS, PAIRS, NAMES),
    st.tuples(st.just("local_thumbnails"), PAIRS, PAIRS, NAMES, NAMES),
    st.tuples(st.just("remote_content"), NAMES, PAIRS, PAIRS, NAMES),
    st.tuples(st.just("remote_thumbnail"), NAMES, PAIRS, PAIRS, NAMES, NAMES),
).map("/".join)


@settings(max_examples=100, deadline=None)
@given(st.sets(ANY_KEY, max_size=20))
def test_the_order_is_that_of_the_keys_in_utf_8(keys: set[str]) -> None:
    with tempfile.TemporaryDirectory() as root:
        for key in keys:
            put(Path(root), key)
        files, left = walk_all(Path(root))
    assert [file.path for file in files] == sorted(keys, key=str.encode)
    assert left == []
    for file in files:
        assert is_ordinary(file.media)
        expected = content_path(file.media) if file.is_original else thumbnail_directory(file.media)
        assert expected == (file.path if file.is_original else file.path.rpartition("/")[0])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("remote_content/a.b/aa/bb/c", "remote_content/a/aa/bb/c"),
        ("remote_content/a-b/aa/bb/c", "remote_content/a/aa/bb/c"),
        ("remote_content/a/aa/bb/c", "remote_content/a0/aa/bb/c"),
        ("local_content/aa/bb/\uffdc", "local_content/aa/bb/\U00010000"),
        ("local_thumbnails/aa/bb/c.d/1", "local_thumbnails/aa/bb/c/1"),
        ("local_content/zz/zz/z", "local_thumbnails/AA/AA/A/1"),
    ],
)
def test_a_directory_is_sorted_by_its_name_with_the_slash(tmp_path: Path, first: str, second: str) -> None:
    put(tmp_path, second)
    put(tmp_path, first)
    assert [file.path for file in walk_all(tmp_path)[0]] == [first, second]


def test_a_file_comes_with_its_metadata(tmp_path: Path) -> None:
    status = put(tmp_path, REMOTE_THUMBNAIL_KEY, b"0123456789").stat()
    files, dummy = walk_all(tmp_path)
    assert files == [
        LocalFile(
            REMOTE_THUMBNAIL_KEY,
            Media(REMOTE, "example.org:8448", "ZyXwVuTsRqPo"),
            10,
            status.st_mtime_ns,
            status.st_ino,
            status.st_dev,
            status.st_ctime_ns,
        )
    ]
    assert files[0].identity == identity_of(status)
    assert not files[0].is_original


def test_originals_and_thumbnails_of_both_kinds(tmp_path: Path) -> None:
    for key in KEYS:
        put(tmp_path, key)
    ours, theirs = Media(LOCAL, "", "AbCdEfGhIjKl"), Media(REMOTE, "example.org:8448", "ZyXwVuTsRqPo")
    assert [(file.path, file.media, file.is_original) for file in walk_all(tmp_path)[0]] == [
        (LOCAL_KEY, ours, True),
        (LOCAL_THUMBNAIL_KEY, ours, False),
        (REMOTE_KEY, theirs, True),
        (REMOTE_THUMBNAIL_KEY, theirs, False),
    ]


def test_url_previews_and_unknown_top_level_directories_are_skipped(tmp_path: Path) -> None:
    put(tmp_path, "url_cache/2026-01-01/abcdef")
    put(tmp_path, "url_cache_thumbnails/2026-01-01/abcdef/32-32-image-png-crop")
    put(tmp_path, "lost+found/aa/bb/cc")
    put(tmp_path, ".synapse-s3")
    assert walk_all(tmp_path) == ([], [])


def test_files_not_written_by_synapse_are_skipped_and_reported(tmp_path: Path) -> None:
    put(tmp_path, "local_content/stray", b"12")
    put(tmp_path, "local_content/A/Cd/EfGh")
    put(tmp_path, "local_content/Abc/Cd/EfGh")
    put(tmp_path, "local_content/Ab/stray", b"123")
    put(tmp_path, "local_content/Ab/Cd/directory/file")
    put(tmp_path, "local_thumbnails/Ab/Cd/stray", b"1")
    put(tmp_path, "remote_content/example.org/Ab/C/d")
    put(tmp_path, "local_content/Ab/Cd/new\nline", b"1234")
    put(tmp_path, os.fsdecode(b"remote_content/\xff/ab/cd/ef"))
    put(tmp_path, os.fsdecode(b"local_content/Ab/Cd/\xfe\xff"), b"12345")
    files, left = walk_all(tmp_path)
    assert files == []
    assert sorted(left) == [
        ("unusable_name", "local_content/A", 0),
        ("unusable_name", "local_content/Ab/Cd/\\udcfe\\udcff", 5),
        ("unusable_name", "local_content/Ab/Cd/directory", 0),
        ("unusable_name", "local_content/Ab/Cd/new\\nline", 4),
        ("unusable_name", "local_content/Ab/stray", 3),
        ("unusable_name", "local_content/Abc", 0),
        ("unusable_name", "local_content/stray", 2),
        ("unusable_name", "local_thumbnails/Ab/Cd/stray", 1),
        ("unusable_name", "remote_content/\\udcff", 0),
        ("unusable_name", "remote_content/example.org/Ab/C", 0),
    ]


@pytest.mark.parametrize(
    "linked",
    [
        *KEYS,
        "local_content",
        "local_content/Ab",
        "local_content/Ab/Cd",
        "local_thumbnails/Ab/Cd/EfGhIjKl",
        "remote_content",
        "remote_content/example.org:8448",
        "remote_content/example.org:8448/Zy",
        "remote_content/example.org:8448/Zy/Xw",
        "remote_thumbnail/example.org:8448",
    ],
)
def test_a_link_is_reported_and_not_followed(tmp_path: Path, linked: str) -> None:
    root, elsewhere = tmp_path / "media_store", tmp_path / "elsewhere"
    for key in KEYS:
        put(root, key)
    (root / linked).rename(elsewhere)
    (root / linked).symlink_to(elsewhere)
    files, left = walk_all(root)
    assert [file.path for file in files] == [key for key in KEYS if key != linked and not key.startswith(linked + "/")]
    assert left == [("symlink", linked, 0)]


def test_the_media_store_itself_may_be_a_link(tmp_path: Path) -> None:
    put(tmp_path / "disk", LOCAL_KEY)
    (tmp_path / "media_store").symlink_to(tmp_path / "disk")
    assert [file.path for file in walk_all(tmp_path / "media_store")[0]] == [LOCAL_KEY]


def test_special_files_are_reported(tmp_path: Path) -> None:
    put(tmp_path, LOCAL_KEY)
    os.mkfifo(tmp_path / "local_content/Ab/Cd/fifo")
    os.mkfifo(tmp_path / "local_content/Ab/ff")
    with socket.socket(socket.AF_UNIX) as server:
        # The path of a socket is limited to 108 bytes.
        directory = os.open(tmp_path / "local_content/Ab/Cd", os.O_RDONLY)
        server.bind(f"/proc/self/fd/{directory}/socket")
        os.close(directory)
    files, left = walk_all(tmp_path)
    assert [file.path for file in files] == [LOCAL_KEY]
    assert sorted(left) == [
        ("special", "local_content/Ab/Cd/fifo", 0),
        ("special", "local_content/Ab/Cd/socket", 0),
        ("special", "local_content/Ab/ff", 0),
    ]


def test_an_unreadable_directory_is_reported_and_the_rest_is_walked() -> None:
    with store_of_an_ordinary_user() as root:
        for key in KEYS:
            put(root, key)
        put(root, "local_content/zz/zz/listed-only")
        (root / "local_content/Ab").chmod(0)
        (root / "local_content/zz/zz").chmod(0o400)
        files, left = walk_all(root)
        (root / "local_content/Ab").chmod(0o700)
        (root / "local_content/zz/zz").chmod(0o700)
    assert [file.path for file in files] == KEYS[1:]
    assert left == [
        ("unreadable_directory", "local_content/Ab", 0),
        ("unreadable_directory", "local_content/zz/zz/listed-only", 0),
    ]


def test_directories_and_files_may_disappear_during_the_walk(tmp_path: Path) -> None:
    for name in ("aa", "bb", "cc", "dd"):
        put(tmp_path, f"local_content/{name}/xx/1")
    put(tmp_path, "local_content/aa/xx/2")
    put(tmp_path, "local_content/dd/xx/2")
    left: list[tuple[str, str, int]] = []
    seen = []
    for file in walk(str(tmp_path), lambda *what: left.append(what)):
        seen.append(file.path)
        if file.path == "local_content/aa/xx/1":
            (tmp_path / "local_content/aa/xx/2").unlink()
            (tmp_path / "local_content/bb/xx/1").unlink()
            (tmp_path / "local_content/bb/xx").rmdir()
            (tmp_path / "local_content/cc").rename(tmp_path / "gone")
        if file.path == "local_content/dd/xx/1":
            (tmp_path / "local_content/dd").rename(tmp_path / "gone too")
    # A directory that was open already is still read; no later step trusts the path alone.
    assert seen == ["local_content/aa/xx/1", "local_content/dd/xx/1", "local_content/dd/xx/2"]
    assert left == []


def test_a_directory_that_becomes_a_link_during_the_walk_is_not_followed(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "media_store", tmp_path / "elsewhere"
    put(root, "local_content/aa/xx/1")
    put(root, "local_content/bb/xx/1")
    left: list[tuple[str, str, int]] = []
    files = walk(str(root), lambda *what: left.append(what))
    next(files)
    (root / "local_content/bb").rename(elsewhere)
    (root / "local_content/bb").symlink_to(elsewhere)
    assert list(files) == []
    assert left == [("symlink", "local_content/bb", 0)]


def test_names_are_utf_8_in_any_locale(tmp_path: Path) -> None:
    """In an ASCII locale Python decodes the same bytes to other characters."""
    put(tmp_path, "remote_content/bücher.example/Zy/Xw/Vu")
    program = (
        "import sys; from synapse_media.disk.walk import walk; "
        "print(sys.getfilesystemencoding(), *(ascii(file.path) for file in walk(sys.argv[1], print)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": MODULE_UTILS},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "ascii 'remote_content/b\\xfccher.example/Zy/Xw/Vu'\n"


def test_leaving_early_closes_all_descriptors(tmp_path: Path) -> None:
    put(tmp_path, REMOTE_THUMBNAIL_KEY)
    before = open_descriptors()
    files = walk(str(tmp_path), lambda *what: None)
    next(files)
    assert open_descriptors() > before
    files.close()  # type: ignore[attr-defined]
    assert open_descriptors() == before


@pytest.mark.parametrize("what", ["missing", "file"])
def test_a_root_that_cannot_be_opened_is_a_wrong_setting(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="synapse_s3_media_path"):
        walk_all(tmp_path / what)
