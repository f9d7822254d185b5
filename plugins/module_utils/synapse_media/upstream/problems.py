# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files with problems: the first thousand are named, the others only counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

KEPT = 1000
SHOWN = 5


class Problem(NamedTuple):
    path: str
    error: str


class Problems:
    def __init__(self) -> None:
        self._kept: list[Problem] = []
        self._count = 0

    def add(self, path: str, error: str) -> None:
        self._count += 1
        if len(self._kept) < KEPT:
            self._kept.append(Problem(path if path.isprintable() else repr(path), error))

    def extend(self, others: Problems) -> None:
        self._kept = [*self._kept, *others][:KEPT]
        self._count += len(others)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._kept)

    def __len__(self) -> int:
        return self._count

    def __str__(self) -> str:
        """For a message: the first few with their reasons, and how many more there are."""
        shown = "; ".join(f"{problem.path} ({problem.error})" for problem in self._kept[:SHOWN])
        return shown if self._count <= SHOWN else f"{shown}; and {self._count - SHOWN} more"

    def as_list(self) -> list[dict[str, str]]:
        return [problem._asdict() for problem in self._kept]
