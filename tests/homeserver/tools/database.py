# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Synapse's database, PostgreSQL or SQLite, with one spelling of statements."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Union

import psycopg2

Parameters = Union[Sequence[Any], Mapping[str, Any]]
# Runs one statement, and returns the first row of its result if it says RETURNING.
Execute = Callable[[str, Parameters], Any]


@contextmanager
def transaction(facts: dict[str, Any]) -> Iterator[Execute]:
    """Statements are written for psycopg2, with %s and %(name)s; all of them are committed, or none."""
    sqlite = facts["database"].get("sqlite")
    # Synapse writes at the same time, and SQLite lets one writer in.
    opened: Any = sqlite3.connect(sqlite, timeout=60) if sqlite else psycopg2.connect(**facts["database"])
    with closing(opened), opened:
        cursor = opened.cursor()

        def execute(statement: str, parameters: Parameters) -> Any:
            if sqlite:
                statement = re.sub(r"%\((\w+)\)s", r":\1", statement).replace("%s", "?")
            cursor.execute(statement, parameters)
            return cursor.fetchone() if "RETURNING" in statement else None

        yield execute
