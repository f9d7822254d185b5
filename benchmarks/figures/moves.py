# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tree that is moved into an empty bucket: the engine beside s5cmd mv and rclone move."""

from __future__ import annotations

from bench import Run, Setup
from media import Tree
from paths import BUCKET
from programs import RCLONE_MOVE, juicefs_move, rclone, s5cmd_move
from results import Figure, Goal
from run_cost import Cost
from s3_store import Store, load

JUICEFS = "juicefs sync"


def movers(
    setup: Setup, store: Store, tree: Tree, in_flight: int, *, with_juicefs: bool = False
) -> list[tuple[str, Run]]:
    def moved(name: str, command: list[str] | None) -> Run:
        def run() -> Cost:
            store.clear()
            tree.lay_out()
            cost = setup.run(store, command) if command else setup.run_engine(store, tree.work, in_flight)
            tree.need_moved(store, name)
            return cost

        return run

    commands = {
        "engine": None,
        "s5cmd mv": s5cmd_move(store, tree.work, in_flight),
        "rclone move": rclone("move", tree.work, BUCKET, in_flight, RCLONE_MOVE),
    }
    if with_juicefs:
        commands[JUICEFS] = juicefs_move(store, tree.work, in_flight)
    return [(name, moved(name, command)) for name, command in commands.items()]


def wire(store: Store, kind: str, connections: int, count: int, size: int = 19_000) -> Cost:
    """The load generator sends as many requests: no client can be faster."""
    before = store.zero()
    said = load(store, kind, connections, count, size)
    after = store.statistics()
    return Cost(
        seconds=said["seconds"],
        cpu_seconds=said["cpu_seconds"],
        peak_rss_mib=0,
        requests={name: number for name, number in after["requests"].items() if number},
        store_cpu_seconds=after["cpu_seconds"] - before["cpu_seconds"],
        connections=after["most_connections"],
    )


def wall_goal(figure: Figure, limit: float) -> Goal:
    engine, s5cmd, other = (figure.median(name) for name in ("engine", "s5cmd mv", "rclone move"))
    faster = min(s5cmd.seconds, other.seconds)
    return Goal("wall: engine / the faster of s5cmd mv and rclone move", engine.seconds / faster, limit)


def cpu_goal(figure: Figure, limit: float) -> Goal:
    engine, s5cmd = figure.median("engine"), figure.median("s5cmd mv")
    return Goal("CPU: engine / s5cmd mv", engine.cpu_seconds / s5cmd.cpu_seconds, limit)


def juicefs_goals(figure: Figure, limit: float) -> list[Goal]:
    engine, juicefs = figure.median("engine"), figure.median(JUICEFS)
    return [
        Goal(f"wall: engine / {JUICEFS}", engine.seconds / juicefs.seconds, limit),
        Goal(f"CPU: engine / {JUICEFS}", engine.cpu_seconds / juicefs.cpu_seconds, limit),
    ]


def memory_goal(figure: Figure, limit: float) -> Goal:
    return Goal("peak memory of the engine in MB", figure.median("engine").peak_rss_mib * 1.048576, limit)
