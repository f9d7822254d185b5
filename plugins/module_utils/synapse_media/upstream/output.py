# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The output of upstream's script, parsed line by line."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from . import launcher
from .problems import Problems

# The script prints its logging pattern unformatted, followed by the path and the reason.
_FAILED = "Failed to upload file %s: %s "
_SINCE = "Syncing files that haven't been accessed since: "

_COUNTS = {
    "rows_synced": re.compile(r"Synced ([0-9]+) new rows"),
    "marked_deleted": re.compile(r"Updated ([0-9]+) as deleted"),
    "media_uploaded": re.compile(r"Uploaded ([0-9]+) media out of [0-9]+"),
    "media_total": re.compile(r"Uploaded [0-9]+ media out of ([0-9]+)"),
    "files_uploaded": re.compile(r"Uploaded ([0-9]+) files"),
    "bytes_uploaded": re.compile(r"Uploaded ([0-9]+)"),
    "media_deleted": re.compile(r"Deleted ([0-9]+) media"),
    "files_deleted": re.compile(r"Deleted ([0-9]+) files"),
    "bytes_deleted": re.compile(r"Deleted ([0-9]+)"),
}
SUMMARY = {
    "update-db": ("rows_synced",),
    "check-deleted": ("marked_deleted",),
    "upload": tuple(name for name in _COUNTS if name not in ("rows_synced", "marked_deleted")),
}


@dataclass
class Output:
    root: str
    is_planned: Callable[[str], bool]
    counts: dict[str, int] = field(default_factory=dict)
    since_ms: int | None = None
    failed: Problems = field(default_factory=Problems)
    left_alone: Problems = field(default_factory=Problems)

    def read(self, line: str) -> None:
        if line.startswith(_FAILED):
            self._read_failure(line[len(_FAILED) :])
        elif line.startswith(_SINCE):
            self.since_ms = _milliseconds(line[len(_SINCE) :])
        else:
            for name, pattern in _COUNTS.items():
                match = pattern.fullmatch(line)
                if match:
                    self.counts[name] = int(match.group(1))

    def missing_from_summary(self, command: str) -> list[str]:
        return [name for name in SUMMARY[command] if name not in self.counts]

    def _read_failure(self, text: str) -> None:
        path, error = self._split(text)
        if error == launcher.LEFT_ALONE:
            self.left_alone.add(path, error)
        else:
            self.failed.add(path, error)

    def _split(self, text: str) -> tuple[str, str]:
        """Split a path and a reason that are separated by a space, which both may contain too."""
        relative = text[len(self.root) + 1 :] if text.startswith(f"{self.root}/") else text
        words = relative.split(" ")
        for end in range(1, len(words)):
            path = " ".join(words[:end])
            if self.is_planned(path):
                return path, " ".join(words[end:])
        return words[0], " ".join(words[1:])


def _milliseconds(text: str) -> int | None:
    """Compute exactly the number that the script compared with: it uses local time without a zone, and so does this."""
    try:
        return int(datetime.datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None
