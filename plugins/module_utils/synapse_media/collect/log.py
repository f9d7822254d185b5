# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The log of a run, in lines of JSON: what is about to be done to which object. An undo reads it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..disk.durable_file import sync_directory
from ..disk.layout import is_media_path
from ..errors import ConfigurationError, MediaError
from ..settings.store import StoreSettings
from .trash import trashed

LOG_PREFIX = "log-"
LOG_SUFFIX = ".jsonl"

# What is done to an object.
TRASH = "trash"
DELETE = "delete"
PURGE = "purge"

_LOCATION = ("bucket", "prefix", "endpoint_url")


class Action(NamedTuple):
    """One action: `path` is that of the object below the prefix, `trash_path` where it goes, empty for nowhere.

    `size` in bytes; the ETag without quotes; `version_id` is empty where the bucket keeps no versions.
    """

    action: str
    path: str
    size: int
    etag: str
    reason: str
    trash_path: str = ""
    version_id: str = ""


class ActionLog:
    """Makes its file, which only the owner can read, with the first action. Each is on the disk before it is taken."""

    def __init__(self, directory: Path, stamp: str, store: StoreSettings) -> None:
        self.path = directory / f"{LOG_PREFIX}{stamp}{LOG_SUFFIX}"
        self._store = store
        self._file: IO[str] | None = None

    @property
    def is_used(self) -> bool:
        return self._file is not None

    def add(self, actions: Sequence[Action]) -> None:
        """Raises MediaError if they cannot be written: they must not be taken then."""
        if not actions:
            return
        try:
            lines = [json.dumps(self._entry(action)) for action in actions]
            if self._file is None:
                descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                self._file = os.fdopen(descriptor, "w", encoding="utf-8")
                lines.insert(0, json.dumps(_header(self._store)))
                sync_directory(self.path.parent)
            self._file.write("".join(f"{line}\n" for line in lines))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise MediaError(
                f"The log {self.path} cannot be written ({error.strerror}), and nothing is done that is not in it. "
                "Free space there, and run this again."
            ) from error

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _entry(self, action: Action) -> dict[str, Any]:
        prefix = self._store.prefix
        trash_key = prefix + action.trash_path if action.trash_path else ""
        return {"key": prefix + action.path, "trash_key": trash_key, **action._asdict()}


def read_log(path: Path, store: StoreSettings) -> Iterator[Action]:
    """The actions of a log, in their order. Raises ConfigurationError if it is none, or one of another location."""
    try:
        with path.open(encoding="utf-8") as file:
            header = json.loads(file.readline() or "null")
            if not isinstance(header, dict) or header.get("log") != "gc":
                raise ConfigurationError(
                    f"{path} is no log of a garbage collection. Name one of the files log-*.jsonl."
                )
            differing = [name for name in _LOCATION if header.get(name) != _header(store)[name]]
            if differing:
                raise ConfigurationError(
                    f"{path} is about another location in S3: its {', '.join(differing)} differs from the settings. "
                    "Undo it with the settings that the run had."
                )
            for line in file:
                if not line.endswith("\n"):
                    # A run that was killed while it wrote this has done nothing of it.
                    return
                yield _action(json.loads(line), path)
    except (ValueError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is damaged ({error}). Nothing more of it can be undone.") from error
    except OSError as error:
        raise ConfigurationError(
            f"The log {path} cannot be read ({error.strerror}). Name a file that the user this runs as can read."
        ) from error


def _header(store: StoreSettings) -> dict[str, Any]:
    return {"log": "gc", "bucket": store.bucket, "prefix": store.prefix, "endpoint_url": store.endpoint_url or ""}


def _action(entry: Any, path: Path) -> Action:
    """Whatever is in a file, no key but one of Synapse's layout is written, from no other than one of the trash."""
    if isinstance(entry, dict):
        fields = {name: entry.get(name) for name in Action._fields}
        texts = all(isinstance(value, str) for name, value in fields.items() if name != "size")
        if texts and isinstance(fields["size"], int):
            action = Action(**fields)  # type: ignore[arg-type]
            put_aside = trashed(action.trash_path)
            if action.action in (DELETE, PURGE) and not action.trash_path:
                return action
            if put_aside is not None and put_aside.path == action.path and is_media_path(action.path):
                return action
    raise ConfigurationError(
        f"{path} holds a line that no garbage collection writes. Nothing more of it can be undone."
    )
