# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For a file that differs from its object: which one Synapse's database proves wrong, or that nothing proves it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from ..database.lookups import RowFacts, open_database
from ..disk.layout import LOCAL, LOCAL_CONTENT, REMOTE, REMOTE_CONTENT, Media
from ..errors import MediaError
from ..settings.homeserver import DatabaseSettings

_CHUNK = 1024 * 1024
_CONFLICT = "The file and its object differ and nothing proves which of them is right: "
_REMEDY = "Compare both with a backup; the one that is damaged is to be removed."


class Sizes(NamedTuple):
    """Sizes in bytes."""

    file: int
    object: int

    def __str__(self) -> str:
        if self.file == self.object:
            return f"both have {self.file} bytes"
        return f"the file has {self.file} bytes and its object {self.object}"


def explain_difference(root: str, path: str, sizes: Sizes, database: DatabaseSettings | None) -> str:
    """Return the cause and the remedy for the operator. Nothing is replaced or deleted because of it.

    `path` is relative to the media store `root`. The database is queried if it is known.
    """
    media = _original(path)
    if media is None:
        return f"{_CONFLICT}{sizes}, and Synapse's database has no SHA-256 of thumbnails. {_REMEDY}"
    if database is None:
        return f"{_CONFLICT}{sizes}, and Synapse's database is not known to this run. {_REMEDY}"
    try:
        with open_database(database) as rows:
            row = rows.facts(media)
    except MediaError:
        return f"{_CONFLICT}{sizes}, and Synapse's database cannot be asked. {_REMEDY}"
    if row.sha256:
        return _by_digest(Path(root) / path, sizes, row.sha256)
    return _by_length(sizes, row)


def _by_digest(file: Path, sizes: Sizes, sha256: str) -> str:
    try:
        digest = _sha256(file)
    except OSError as error:
        return f"{_CONFLICT}{sizes}, and the file cannot be read ({error.strerror}). {_REMEDY}"
    if digest == sha256:
        return (
            f"The file's SHA-256 is that of Synapse's database, so its object is damaged ({sizes}). "
            "Remove the object and run this again."
        )
    return (
        f"The file's SHA-256 is not that of Synapse's database, so the file is damaged ({sizes}). "
        "Restore it from its object if that is whole, else from a backup."
    )


def _by_length(sizes: Sizes, row: RowFacts) -> str:
    if row.length is None:
        return f"{_CONFLICT}{sizes}, and Synapse's database has no length and no digest. {_REMEDY}"
    if sizes.file == sizes.object == row.length:
        return f"{_CONFLICT}{sizes}, as Synapse's database says, which has no SHA-256. {_REMEDY}"
    if sizes.file == row.length:
        return (
            f"The object has {sizes.object} bytes, the file {sizes.file} as Synapse's database says. "
            "Remove the object and run this again."
        )
    if sizes.object == row.length:
        return (
            f"The file has {sizes.file} bytes, its object {sizes.object} as Synapse's database says. "
            "Restore the file from its object."
        )
    return f"{_CONFLICT}{sizes}, and Synapse's database says {row.length}. {_REMEDY}"


def _original(path: str) -> Media | None:
    """Return the media whose original this is, or None for a thumbnail."""
    first, *rest = path.split("/")
    if first == LOCAL_CONTENT:
        return Media(LOCAL, "", "".join(rest))
    if first == REMOTE_CONTENT:
        return Media(REMOTE, rest[0], "".join(rest[1:]))
    return None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
