# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files are compared by digest if the ETag is one, else by their bytes; a file that changed never counts as equal."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.comparison import (
    FileChangedError,
    equal,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.objects import (
    ReadBack,
    RemoteObject,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.plan import PlannedFile

MIB = 1024 * 1024


class Object(ReadBack):
    """An object that counts how often it is read."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.reads = 0

    def chunks(self) -> Iterator[bytes]:
        self.reads += 1
        for start in range(0, len(self.content), 7):
            yield self.content[start : start + 7]


def planned(path: Path) -> PlannedFile:
    status = path.stat()
    return PlannedFile(path.name, 0, status.st_size, status.st_mtime_ns, str(status.st_ino))


def composed(content: bytes, part: int) -> str:
    parts = [hashlib.md5(content[start : start + part]).digest() for start in range(0, len(content), part)]
    return f"{hashlib.md5(b''.join(parts)).hexdigest()}-{len(parts)}"


def compare(path: Path, content: bytes, etag: str) -> tuple[bool, int]:
    body = Object(content)
    return equal(str(path), planned(path), RemoteObject(len(content), etag), body), body.reads


@pytest.mark.parametrize("content", [b"", b"x", b"some content" * 1000])
def test_md5(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert compare(file, content, hashlib.md5(content).hexdigest()) == (True, 0)


@pytest.mark.parametrize("part_mib", [8, 5, 16])
def test_multipart_etags_of_usual_part_sizes(tmp_path: Path, part_mib: int) -> None:
    content = os.urandom(17 * MIB + 5)
    file = tmp_path / "file"
    file.write_bytes(content)
    assert compare(file, content, composed(content, part_mib * MIB)) == (True, 0)


@pytest.mark.parametrize("etag", ["f" * 32, "f" * 32 + "-3", "not a digest", ""])
def test_with_other_etags_the_bytes_are_compared(tmp_path: Path, etag: str) -> None:
    content = b"some content" * 100
    file = tmp_path / "file"
    file.write_bytes(content)
    assert compare(file, content, etag) == (True, 1)
    assert compare(file, content[:-1] + b"!", etag) == (False, 1)


def test_another_size_needs_no_reading(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    assert compare(file, b"conten", "f" * 32) == (False, 0)
    assert compare(file, b"", "f" * 32) == (False, 0)


def test_a_truncated_object_is_not_equal(tmp_path: Path) -> None:
    """The server reports one size and sends fewer bytes."""
    file = tmp_path / "file"
    file.write_bytes(b"content")
    assert equal(str(file), planned(file), RemoteObject(7, "f" * 32), Object(b"cont")) is False


def test_a_file_that_changed_is_not_compared(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    before = planned(file)
    file.write_bytes(b"changed")
    with pytest.raises(FileChangedError):
        equal(str(file), before, RemoteObject(7, "f" * 32), Object(b"changed"))


def test_a_file_that_changes_while_it_is_compared(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")

    class ObjectWhoseFileChanges(Object):
        def chunks(self) -> Iterator[bytes]:
            yield from super().chunks()
            file.write_bytes(b"content, longer")

    with pytest.raises(FileChangedError):
        equal(str(file), planned(file), RemoteObject(7, "f" * 32), ObjectWhoseFileChanges(b"content"))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"content")
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        equal(str(link), planned(target), RemoteObject(7, "f" * 32), Object(b"content"))
