# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""slow-opens: a file system on which opening a file or a directory takes 5 ms."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench import Bench, Run, Setup
from media import Tree
from paths import FILES, as_worker, give_to_worker
from results import Figure, Goal
from run_cost import Cost, RunFailed
from s3_store import Store, running_store
from slow_files import reason_against, slow_files

from figures.moves import wire

COUNT = 5000
IN_FLIGHT = 64
OPEN_MS = 5.0
ENGINE = "engine"
OPENS = f"{IN_FLIGHT} threads that only open, read and unlink"
WIRE = f"load generator, {IN_FLIGHT} in flight"


def slow_opens(bench: Bench) -> list[Figure]:
    reason = reason_against()
    if reason:
        print(f"  slow-opens is not measured: no slow file system can be mounted: {reason}", flush=True)
        return []
    with bench.setup() as setup, running_store(delay_ms=bench.delay_ms) as store:
        tree = setup.tree(bench.count(COUNT), "originals")
        mountpoint = setup.directory / "slow"
        mountpoint.mkdir()
        give_to_worker(mountpoint)
        return [
            _already_there(bench, setup, store, tree, mountpoint),
            _first_offload(bench, setup, store, tree, mountpoint),
        ]


def _already_there(bench: Bench, setup: Setup, store: Store, tree: Tree, mountpoint: Path) -> Figure:
    figure = _figure(bench, tree, "slow-opens-already-there", "all in the bucket: proven and unlinked")
    setup.fill(store, tree, bench.delay_ms)

    def engine() -> Cost:
        with _slow(tree, mountpoint):
            cost = setup.run_engine(store, mountpoint, IN_FLIGHT)
        tree.need_moved(store, "The engine")
        if cost.notes["verified"]["files"] != tree.count:
            raise RunFailed(f"The engine sent files that were in the bucket: {cost.notes}")
        return cost

    bench.interleaved([(ENGINE, engine), (OPENS, partial(_opens, tree, mountpoint))], figure.add)
    _goal(figure, tree, (OPENS,))
    return figure


def _first_offload(bench: Bench, setup: Setup, store: Store, tree: Tree, mountpoint: Path) -> Figure:
    figure = _figure(bench, tree, "slow-opens-first-offload", "nothing in the bucket")

    def engine() -> Cost:
        store.clear()
        with _slow(tree, mountpoint):
            cost = setup.run_engine(store, mountpoint, IN_FLIGHT)
        tree.need_moved(store, "The engine")
        return cost

    runs: list[tuple[str, Run]] = [
        (ENGINE, engine),
        (OPENS, partial(_opens, tree, mountpoint)),
        (WIRE, partial(wire, store, "put-md5", IN_FLIGHT, tree.count)),
    ]
    bench.interleaved(runs, figure.add)
    _goal(figure, tree, (OPENS, WIRE))
    return figure


def _figure(bench: Bench, tree: Tree, name: str, words: str) -> Figure:
    return Figure(
        name,
        f"{tree.count} originals of 19 KB on average, each in a directory of its own, on a file system that takes"
        f" {OPEN_MS:g} ms to open a file or a directory; {words}; {bench.delay_ms:g} ms to the store",
        {
            "files": tree.count,
            "open_ms": OPEN_MS,
            "opendir_ms": OPEN_MS,
            "in_flight": IN_FLIGHT,
            "delay_ms": bench.delay_ms,
            "rounds": bench.rounds,
        },
    )


@contextmanager
def _slow(tree: Tree, mountpoint: Path) -> Iterator[None]:
    tree.lay_out()
    with slow_files(tree.work, mountpoint, OPEN_MS, OPEN_MS):
        yield


def _opens(tree: Tree, mountpoint: Path) -> Cost:
    with _slow(tree, mountpoint):
        said = _said([str(FILES), str(mountpoint), str(IN_FLIGHT)])
    if (said["files"], tree.files_left()) != (tree.count, 0):
        raise RunFailed(f"Of {tree.count} files {said['files']} were unlinked, and {tree.files_left()} are left.")
    return Cost(
        seconds=said["seconds"],
        cpu_seconds=said["cpu_seconds"],
        peak_rss_mib=0,
        requests={},
        store_cpu_seconds=0,
        connections=0,
    )


def _said(command: list[str]) -> dict[str, float]:
    result: dict[str, float] = json.loads(subprocess.run(as_worker(command), check=True, capture_output=True).stdout)
    return result


def _goal(figure: Figure, tree: Tree, bounds: tuple[str, ...]) -> None:
    """Four fifths of the limits of every client: the files' opens alone, all opens, and the uploads alone."""
    rates = {name: tree.count / figure.median(name).seconds for name in (ENGINE, *bounds)}
    rates["the files' opens alone"] = IN_FLIGHT / OPEN_MS * 1000
    figure.remarks = [f"{name}: {rate:.0f} files/s" for name, rate in rates.items()]
    limit = min(rate for name, rate in rates.items() if name != ENGINE)
    lowest = next(name for name, rate in rates.items() if rate == limit)
    words = f"files a second: engine / the least of these, which is: {lowest}"
    figure.goals = [Goal(words, rates[ENGINE] / limit, 0.8, at_least=True)]
