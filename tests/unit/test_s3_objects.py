# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""ETags as S3 servers compute them."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.objects import (
    MIB,
    composed_etag,
    is_md5,
    likely_part_sizes,
    parts_of,
)


def md5(content: bytes) -> bytes:
    return hashlib.md5(content).digest()


def test_a_multipart_etag_is_the_md5_of_the_parts_md5s() -> None:
    parts = [md5(bytes(8 * MIB)), md5(bytes(MIB))]
    assert composed_etag(parts) == hashlib.md5(b"".join(parts)).hexdigest() + "-2"


@pytest.mark.parametrize(
    ("etag", "expected"),
    [("0" * 32, True), ("0" * 32 + "-2", False), ("0" * 31, False), ("G" * 32, False), ("", False)],
)
def test_which_etags_are_digests(etag: str, expected: bool) -> None:
    assert is_md5(etag) is expected


@pytest.mark.parametrize(
    ("count", "size", "included"),
    [(2, 9 * MIB, 8 * MIB), (2, 9 * MIB, 5 * MIB), (3, 120 * MIB, 50 * MIB), (1, 3, 3), (2, 16 * MIB, 8 * MIB)],
)
def test_the_part_sizes_of_common_tools_are_tried(count: int, size: int, included: int) -> None:
    assert included in likely_part_sizes("0" * 32 + f"-{count}", size)


@pytest.mark.parametrize("etag", ["0" * 32, "0" * 32 + "-0", "0" * 32 + "-x", "-2", ""])
def test_an_etag_without_parts_has_no_part_sizes(etag: str) -> None:
    assert likely_part_sizes(etag, 100 * MIB) == []


@pytest.mark.parametrize("size", [1, 7, 8, 9, 16])
def test_parts_cover_a_file_without_gap_or_overlap(size: int) -> None:
    covered = [position for offset, length in parts_of(size, 8) for position in range(offset, offset + length)]
    assert covered == list(range(size))
