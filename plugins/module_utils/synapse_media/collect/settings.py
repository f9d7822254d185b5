# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to collect and how, as the command line and the module's options name it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ..errors import ConfigurationError
from ..settings.units import parse_duration

DEFAULT_MIN_AGE = "30d"
DEFAULT_TRASH_KEEP = "30d"
DEFAULT_MAX_PERCENT = 10
# Synapse stores a file before it writes the row.
LEAST_MIN_AGE = timedelta(days=1)
_PERCENT = 100


@dataclasses.dataclass(frozen=True)
class CollectSettings:
    """`state_dir` is an absolute path, `undo` the path of a log, None for a collection.

    `confirm`: act. `min_age` holds for an object's own age, and for how long it is known to have no row. `max_percent`:
    of the objects of Synapse's layout, how many may have no row. `trash`: put them aside; else they are deleted at
    once. `trash_keep`: how long they stay there.
    """

    state_dir: str
    confirm: bool = False
    min_age: timedelta = timedelta(days=30)
    max_percent: int = DEFAULT_MAX_PERCENT
    trash: bool = True
    trash_keep: timedelta = timedelta(days=30)
    undo: str | None = None
    concurrency: int = 64

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], state_dir: str, concurrency: int) -> CollectSettings:
        """As options give it: None or empty for what is not set. Raises ConfigurationError."""
        settings = cls(
            state_dir=state_dir,
            confirm=bool(mapping.get("confirm")),
            min_age=parse_duration(mapping.get("min_age") or DEFAULT_MIN_AGE, "min_age"),
            max_percent=_percent(mapping.get("max_percent")),
            trash=mapping.get("trash") is not False,
            trash_keep=parse_duration(mapping.get("trash_keep") or DEFAULT_TRASH_KEEP, "trash_keep"),
            undo=mapping.get("undo") or None,
            concurrency=concurrency,
        )
        if settings.min_age < LEAST_MIN_AGE:
            raise ConfigurationError(
                "min_age is shorter than a day. Synapse stores a file before it writes its row, so what is new is "
                "never garbage for certain. Write 1d or more."
            )
        if settings.undo and settings.confirm:
            raise ConfigurationError("undo brings objects back and confirm deletes some. Leave out one of the two.")
        return settings


def _percent(value: object) -> int:
    if value is None:
        return DEFAULT_MAX_PERCENT
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _PERCENT:
        raise ConfigurationError(f"max_percent is {value!r}. Write a whole number from 0 to {_PERCENT}.")
    return value
