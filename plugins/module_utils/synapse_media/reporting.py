# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the reports of all commands are made of: counts, and the two halves of a diff."""

from __future__ import annotations

from dataclasses import dataclass, field

# A diff of a thousand lines helps nobody.
SHOWN = 100


class Tally:
    """A number of files and their bytes."""

    __slots__ = ("bytes", "files")

    def __init__(self) -> None:
        self.files = 0
        self.bytes = 0

    def add(self, size: int) -> None:
        self.files += 1
        self.bytes += size

    def as_dict(self) -> dict[str, int]:
        return {"files": self.files, "bytes": self.bytes}


@dataclass
class Diff:
    """What a step changes, as Ansible's diff mode shows it: one line a path, its state before and after."""

    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, path: str, before: str | None, after: str | None) -> None:
        self.count += 1
        if self.count > SHOWN:
            return
        if before is not None:
            self.before.append(f"{path}: {before}")
        if after is not None:
            self.after.append(f"{path}: {after}")

    def add_uncounted(self, more: int) -> None:
        """Count paths that were not added because of the limit."""
        self.count += more

    def as_dict(self) -> dict[str, str]:
        return {
            "before_header": "media",
            "after_header": "media",
            "before": self._text(self.before),
            "after": self._text(self.after),
        }

    def _text(self, lines: list[str]) -> str:
        rest = [f"... and {self.count - SHOWN} more"] if self.count > SHOWN and lines else []
        return "".join(f"{line}\n" for line in [*lines, *rest])
