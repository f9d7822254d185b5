# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of two differing copies is right: a file replaces an object only where the database proves the object wrong.

The proof is the row's SHA-256, which the file has; or a length, which the file has and the object has not. Everything
else is a conflict: both copies stay, and both are named.
"""

from __future__ import annotations

from collections.abc import Collection

from ..database.rows import Row
from ..disk.local_file import LocalFile
from ..errors import MediaError

_ADVICE = "Compare both with a backup; the one that is damaged is to be removed."


class Disagreement(MediaError):
    """The file is not what Synapse's database says of it."""


class Conflict(MediaError):
    """The file and its object differ, and nothing proves which of them is right."""


def disagreement(size: int, sha256: bytes | None, row: Row) -> str | None:
    """How an original disagrees with its row, in words; None if they agree or the row does not tell.

    For a file that `is_original`: a thumbnail has no length or digest in the row. `size` is in bytes, `sha256` raw.
    """
    if row.length is not None and row.length != size:
        return f"it has {size} bytes, and its row in Synapse's database says {row.length}"
    if row.sha256 is not None and sha256 is not None and row.sha256 != sha256:
        return f"its SHA-256 is {sha256.hex()}, and its row in Synapse's database says {row.sha256.hex()}"
    return None


def refuse_disagreement(file: LocalFile, sha256: bytes | None, row: Row) -> None:
    """Raises Disagreement if an original is not what its row says; thumbnails have no such row."""
    words = disagreement(file.size, sha256, row) if file.is_original else None
    if words is not None:
        raise Disagreement(f"The file is not the one that Synapse took: {words}. Compare it with a backup; it stays.")


def proves_file(file: LocalFile, row: Row) -> bool:
    """Whether a file that agrees with its row is proven right by it, so that it may replace whatever is there."""
    return file.is_original and row.sha256 is not None


def refuse_conflict(file: LocalFile, row: Row, thumbnail_lengths: Collection[int], object_size: int) -> None:
    """Raises Conflict unless the object is proven wrong and the file is not. Sizes in bytes.

    The file agrees with its row already (see refuse_disagreement). ``thumbnail_lengths`` are those that Synapse's
    thumbnail tables name for this media.
    """
    if file.is_original:
        if row.sha256 is not None or (row.length is not None and object_size != row.length):
            return
        known = "no length and no SHA-256" if row.length is None else "this length for both, and no SHA-256"
        raise Conflict(
            f"The file has {file.size} bytes, its object {object_size}, they differ, and nothing proves which of them "
            f"is right: Synapse's database has {known}. {_ADVICE}"
        )
    if file.size in thumbnail_lengths and object_size not in thumbnail_lengths:
        return
    if thumbnail_lengths and file.size not in thumbnail_lengths:
        reason = "the file is not what Synapse made"
    else:
        reason = "they differ, and nothing proves which of them is right"
    raise Conflict(f"The file has {file.size} bytes, its object {object_size}, and {reason}. {_ADVICE}")
