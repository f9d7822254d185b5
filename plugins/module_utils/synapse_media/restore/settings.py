# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to restore and how, as the command line and the module's options name it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ..disk.layout import LOCAL, LOCAL_CONTENT, REMOTE, REMOTE_CONTENT, Media
from ..errors import ConfigurationError
from ..settings.units import parse_duration

ALL = "all"
KINDS = (ALL, LOCAL, REMOTE)

_MXC = re.compile(r"mxc://([^/?#]+)/([^/?#]+)")
_USER = re.compile(r"@[^:]+:.+")


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which media to restore; everything by default. Empty lists and None select by nothing.

    `media_ids` are ids of local media, or such as mxc://example.org/abc. `newer_than` is about the last use of the row.
    `without_rows`: also objects of Synapse's layout whose media has no row.
    """

    kind: str = ALL
    origins: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    media_ids: tuple[str, ...] = ()
    newer_than: timedelta | None = None
    originals_only: bool = False
    without_rows: bool = False

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Selection:
        """As options give it: None or empty for what is not selected by. Raises ConfigurationError."""
        newer_than = mapping.get("newer_than")
        selection = cls(
            kind=mapping.get("kind") or ALL,
            origins=_texts(mapping.get("origins")),
            users=_texts(mapping.get("users")),
            media_ids=_texts(mapping.get("media_ids")),
            newer_than=parse_duration(newer_than, "newer_than") if newer_than else None,
            originals_only=bool(mapping.get("originals_only")),
            without_rows=bool(mapping.get("without_rows")),
        )
        selection._check()
        return selection

    def _check(self) -> None:
        if self.origins and self.kind == LOCAL:
            raise ConfigurationError("Media of an origin is remote media. Leave out local, or the origins.")
        if self.users and (self.kind == REMOTE or self.origins):
            raise ConfigurationError("Only local media has a user who uploaded it. Leave out the users, or the rest.")
        for user in self.users:
            if not _USER.fullmatch(user):
                raise ConfigurationError(f"The user {user!r} is no Matrix id. Write it as @name:server.")
        if self.media_ids and (self.users or self.origins or self.kind != ALL):
            raise ConfigurationError("Media ids say which media is meant. Leave out users, origins and kinds.")
        for name in self.media_ids:
            self._check_id(name)
        if self.without_rows and (self.media_ids or self.users or self.newer_than is not None):
            raise ConfigurationError(
                "Ids, users and ages are in the rows of Synapse's database, so they select nothing without rows. Leave "
                "out without_rows, or select by kind and origin."
            )

    @staticmethod
    def _check_id(name: str) -> None:
        if name.startswith("mxc:") and not _MXC.fullmatch(name):
            raise ConfigurationError(f"{name!r} is no media id. Write it as mxc://server/id.")
        if not name.startswith("mxc:") and "/" in name:
            raise ConfigurationError(f"{name!r} is no media id. Write the id alone, or mxc://server/id.")

    @property
    def is_by_media(self) -> bool:
        """Whether single media are named, so that the bucket need not be listed."""
        return bool(self.users or self.media_ids)

    def takes_path(self, path: str) -> bool:
        """Whether kind, origin and `originals_only` take a path of Synapse's layout."""
        first, dummy, rest = path.partition("/")
        if self.originals_only and first not in (LOCAL_CONTENT, REMOTE_CONTENT):
            return False
        is_remote = first.startswith("remote_")
        if is_remote:
            return self.kind != LOCAL and not self.users and (not self.origins or rest.split("/")[0] in self.origins)
        return self.kind != REMOTE and not self.origins


def split_mxc(name: str) -> tuple[str, str]:
    """Server and media id; the server is empty for a bare id."""
    match = _MXC.fullmatch(name)
    return (match.group(1), match.group(2)) if match else ("", name)


def local_media(media_id: str) -> Media:
    return Media(LOCAL, "", media_id)


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        return () if not values else (str(values),)
    return tuple(dict.fromkeys(str(value) for value in values if value))


@dataclasses.dataclass(frozen=True)
class RestoreSettings:
    """`state_dir` is an absolute path, `bandwidth_limit` in bytes a second. `verify`: read what is there fully."""

    state_dir: str
    selection: Selection = Selection()
    concurrency: int = 64
    bandwidth_limit: int | None = None
    verify: bool = False
