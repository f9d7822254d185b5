# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a directory may be the collection's own: it gets an owner and a mode, and is removed with what is in it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Top-level directories hold something else, or everything.
_FORM = re.compile(r"/[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+")
_HOME = re.compile(r"/(home|root|Users)(/[^/]+)?")
_DEPTH = 2
_SHOWN = 3


@dataclass(frozen=True)
class OwnDirectory:
    """A directory that a setting names.

    `marks`: relative paths of which the collection makes at least one before anything else. `removes`: relative paths
    that a removal is about to remove; a directory with none of them is left as it is. Empty where nothing is removed.
    """

    setting: str
    path: str
    marks: Sequence[str]
    removes: Sequence[str] = ()


def problem(directory: OwnDirectory, synapse_paths: Sequence[str]) -> str | None:
    """Return why the directory is refused, with the remedy, or None. `synapse_paths`: what belongs to Synapse."""
    named = f"{directory.setting} is '{directory.path}'"
    default = f"leave {directory.setting} out to use its default"
    if not _is_acceptable(directory.path):
        return (
            f"{named}. It must be an absolute path below a top-level directory, made of letters, digits, '.', '_' and "
            "'-', and no home directory, because the collection gives it an owner and a mode and removes it. "
            f"L{default[1:]}."
        )
    within = sorted({found for path in synapse_paths if (found := _slashed(path)).startswith(directory.path + "/")})
    if within:
        return (
            f"{named}, which is or contains {', '.join(path.rstrip('/') for path in within)} of Synapse. "
            f"Give the collection a directory of its own, or {default}."
        )
    held = _foreign(directory)
    if held:
        return (
            f"{named}, which is there and not of the collection: it {held}. "
            f"Give the collection a directory of its own, or {default}; or move away what lies there."
        )
    return None


def _is_acceptable(path: str) -> bool:
    dots = {".", ".."} & set(path.split("/"))
    return bool(_FORM.fullmatch(path)) and not dots and not _HOME.fullmatch(path)


def _slashed(path: str) -> str:
    return path.rstrip("/") + "/"


def _foreign(directory: OwnDirectory) -> str:
    """What is there and not the collection's, in words; empty where the directory is empty, missing or its own."""
    path = Path(directory.path)
    if not path.exists():
        return ""
    if not path.is_dir():
        return "is no directory"
    entries = contents(path)
    touched = set(entries) & set(directory.removes) if directory.removes else entries
    if not touched or set(entries) & set(directory.marks):
        return ""
    return f"holds {', '.join(entries[:_SHOWN])}"


def contents(directory: Path) -> list[str]:
    """Sorted relative paths of what lies in a directory, two levels deep, without following links."""
    found: list[str] = []
    for folder, folders, files in os.walk(directory):
        relative = Path(folder).relative_to(directory)
        found.extend(str(relative / name) for name in [*folders, *files])
        if len(relative.parts) + 1 >= _DEPTH:
            folders.clear()
    return sorted(found)
