# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of two differing copies may replace the other."""

from __future__ import annotations

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.database.rows import Row
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import LOCAL, Media
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.local_file import LocalFile
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.proof.conflict import (
    Conflict,
    Disagreement,
    proves_file,
    refuse_conflict,
    refuse_disagreement,
)

MEDIA = Media(LOCAL, "", "AABBrest")
DIGEST = b"d" * 32


def original(size: int) -> LocalFile:
    return LocalFile("local_content/AA/BB/rest", MEDIA, size, 0, 1, 1)


def thumbnail(size: int) -> LocalFile:
    return LocalFile("local_thumbnails/AA/BB/rest/32-32-image-png-scale", MEDIA, size, 0, 1, 1)


@pytest.mark.parametrize(
    ("row", "file_size", "object_size", "replaces"),
    [
        # The file matches the digest of its row, so it is right whatever the bucket has.
        (Row(5, DIGEST, 0, False), 5, 5, True),
        (Row(None, DIGEST, 0, False), 5, 5, True),
        (Row(5, DIGEST, 0, False), 5, 3, True),
        # The length of the object differs from that of the row, so the object is wrong.
        (Row(5, None, 0, False), 5, 3, True),
        # Both have the length of the row, or the row has no length: either copy may be damaged.
        (Row(5, None, 0, False), 5, 5, False),
        (Row(None, None, 0, False), 5, 5, False),
        (Row(None, None, 0, False), 3, 5, False),
        (Row(None, None, 0, False), 0, 5, False),
    ],
)
def test_an_original(row: Row, file_size: int, object_size: int, replaces: bool) -> None:
    if replaces:
        refuse_conflict(original(file_size), row, set(), object_size)
        return
    with pytest.raises(Conflict, match=f"has {file_size} bytes, its object {object_size}.*Compare both"):
        refuse_conflict(original(file_size), row, set(), object_size)


@pytest.mark.parametrize(
    ("lengths", "file_size", "object_size", "replaces"),
    [
        ({100}, 100, 90, True),
        ({100, 200}, 100, 90, True),
        ({100, 90}, 100, 90, False),
        ({100}, 100, 100, False),
        ({100}, 90, 100, False),
        (set(), 100, 90, False),
        (set(), 0, 90, False),
    ],
)
def test_a_thumbnail(lengths: set[int], file_size: int, object_size: int, replaces: bool) -> None:
    """The digest in the row is that of the original, so it proves nothing about a thumbnail."""
    row = Row(5, DIGEST, 0, False)
    assert not proves_file(thumbnail(file_size), row)
    if replaces:
        refuse_conflict(thumbnail(file_size), row, lengths, object_size)
        return
    with pytest.raises(Conflict):
        refuse_conflict(thumbnail(file_size), row, lengths, object_size)


def test_a_file_that_differs_from_its_row() -> None:
    refuse_disagreement(original(5), DIGEST, Row(5, DIGEST, 0, False))
    refuse_disagreement(thumbnail(7), b"x" * 32, Row(5, DIGEST, 0, False))
    for size, digest in ((4, DIGEST), (5, b"x" * 32)):
        with pytest.raises(Disagreement, match="not the one that Synapse took"):
            refuse_disagreement(original(size), digest, Row(5, DIGEST, 0, False))
