# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""videos: files of 20 MiB. mixed: small and large files, as in real media stores. few-files: a short run."""

from __future__ import annotations

from functools import partial

from bench import Bench, Run
from results import Figure, Goal
from s3_store import running_store
from tree import VIDEO

from figures.moves import cpu_goal, memory_goal, movers, wall_goal, wire

VIDEOS = 48
MIXED_FILES = 4000
FEW_FILES = 200
IN_FLIGHT = 64
FAR_MS = 100.0


def videos(bench: Bench) -> list[Figure]:
    figures = []
    with bench.setup() as setup:
        tree = setup.tree(bench.count(VIDEOS), "videos")
        for delay_ms in (bench.delay_ms, FAR_MS):
            figure = Figure(
                f"videos-{delay_ms:g}-ms",
                f"{tree.count} videos of 20 MiB, nothing in the bucket, {IN_FLIGHT} in flight,"
                f" {delay_ms:g} ms to the store",
                {"files": tree.count, "in_flight": IN_FLIGHT, "delay_ms": delay_ms, "rounds": bench.rounds},
            )
            with running_store(delay_ms=delay_ms) as store:
                floor = partial(wire, store, "put-md5", tree.count, tree.count, VIDEO)
                runs: list[tuple[str, Run]] = [*movers(setup, store, tree, IN_FLIGHT), ("load generator", floor)]
                bench.interleaved(runs, figure.add)
            figure.goals = [wall_goal(figure, 1.0), cpu_goal(figure, 1.0), memory_goal(figure, 150)]
            figures.append(figure)
    return figures


def mixed(bench: Bench) -> list[Figure]:
    with bench.setup() as setup, running_store(delay_ms=bench.delay_ms) as store:
        tree = setup.tree(bench.count(MIXED_FILES), "mixed")
        total = sum(kept.size for kept in tree.manifest().values())
        figure = Figure(
            "mixed",
            f"{tree.count} files, {total / 1e9:.2f} GB: 90 % up to 100 KB, 9 % up to 5 MB, 1 % up to 100 MB; nothing"
            f" in the bucket, {IN_FLIGHT} in flight, {bench.delay_ms:g} ms to the store",
            {
                "files": tree.count,
                "bytes": total,
                "in_flight": IN_FLIGHT,
                "delay_ms": bench.delay_ms,
                "rounds": bench.rounds,
            },
        )
        bench.interleaved(movers(setup, store, tree, IN_FLIGHT), figure.add)
    figure.goals = [wall_goal(figure, 1.0)]
    return [figure]


def few_files(bench: Bench) -> list[Figure]:
    with bench.setup() as setup, running_store(delay_ms=bench.delay_ms) as store:
        tree = setup.tree(bench.count(FEW_FILES))
        figure = Figure(
            "few-files",
            f"{tree.count} files of 19 KB on average, nothing in the bucket, {IN_FLIGHT} in flight,"
            f" {bench.delay_ms:g} ms to the store",
            {"files": tree.count, "in_flight": IN_FLIGHT, "delay_ms": bench.delay_ms, "rounds": bench.rounds},
        )
        bench.interleaved(movers(setup, store, tree, IN_FLIGHT), figure.add)
    ratio = figure.median("engine").seconds / figure.median("s5cmd mv").seconds
    figure.goals = [Goal("wall: engine / s5cmd mv", ratio, 1.5)]
    return [figure]
