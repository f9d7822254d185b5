# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shared by all figures: the number of rounds, the scale, directories, and running the compared programs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from database import Database, running_database
from media import Tree, work_directory
from paths import BUCKET, as_worker, give_to_worker
from programs import Engine, aws, environment
from run_cost import Cost, RunFailed, measure
from s3_store import Store

Run = Callable[[], Cost]

LONG_ROUND = 15.0
ROUNDS_OF_LONG = 3
# What is kept of the reports of the engine's commands.
NOTES = ("uploaded", "verified", "deleted", "restored", "proven", "by_length", "audit", "requests", "database_rows")


@dataclass
class Bench:
    """`scale` multiplies every number of files, for trying the programs; only 1 gives figures that can be compared with
    goals.
    """

    rounds: int
    scale: float
    delay_ms: float
    below: Path

    def count(self, files: int) -> int:
        return max(10, round(files * self.scale))

    @contextmanager
    def setup(self) -> Iterator[Setup]:
        with work_directory(self.below) as directory, running_database() as database:
            yield Setup(directory, database)

    def interleaved(self, programs: Sequence[tuple[str, Run]], note: Callable[[str, Cost], None]) -> None:
        """Run each program once a round, starting each round with another one, so that none always runs on a warmer
        host.

        If a round takes longer than LONG_ROUND seconds there are at most ROUNDS_OF_LONG.
        """
        rounds, number = self.rounds, 0
        while number < rounds:
            print(f"  round {number + 1} of {rounds}", flush=True)
            first = number % len(programs)
            began = time.monotonic()
            for name, run in [*programs[first:], *programs[:first]]:
                note(name, run())
            if time.monotonic() - began > LONG_ROUND:
                rounds = min(rounds, ROUNDS_OF_LONG)
            number += 1


class Setup:
    """A directory of the worker's, a database, and the engine ready to run."""

    def __init__(self, directory: Path, database: Database) -> None:
        self.directory = directory
        self.database = database
        self.engine = Engine(directory)
        self.home = directory / "home"
        self.home.mkdir()
        give_to_worker(self.home)

    def make_directory(self, path: Path) -> None:
        """With those above it, as the worker's."""
        subprocess.run(as_worker(["mkdir", "-p", str(path)]), check=True)

    def tree(self, count: int, shape: str = "real") -> Tree:
        """A new tree, with its rows added to the existing ones."""
        tree = Tree(self.directory / f"{shape}-{count}", count, shape)
        self.database.add(tree.directory)
        return tree

    def fill(self, store: Store, tree: Tree, delay_ms: float) -> None:
        """Put the tree into the bucket without a delay; the store has this one afterwards."""
        store.delay(0)
        self.run(store, aws(store, "sync", str(tree.master), f"s3://{BUCKET}"))
        tree.need_in(store, "aws s3 sync")
        store.delay(delay_ms)

    def run(self, store: Store, command: list[str], settings: Mapping[str, str] | None = None) -> Cost:
        """`settings` are environment variables."""
        return measure(store, command, {**environment(store, self.home), **(settings or {})})[0]

    def run_engine(self, store: Store, tree: Path, concurrency: int, limit: int = 1800, verb: str = "offload") -> Cost:
        """Run a command of the engine; its report is in the cost's notes. A failed file is an error."""
        command = self.engine.command(store, tree, self.database.section(), verb=verb, concurrency=concurrency)
        cost, output = measure(store, command, {**environment(store, self.home), **self.engine.environment}, limit)
        report: dict[str, Any] = json.loads(output)
        if report.get("failed"):
            raise RunFailed(f"The engine failed with {len(report['failed'])} files: {report['failed'][:3]}")
        cost.notes = {name: report[name] for name in NOTES if name in report}
        return cost
