# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""restore: all media from the bucket to an empty disk."""

from __future__ import annotations

from bench import Bench, Run
from programs import rclone_copy, s5cmd_copy
from results import Figure, Goal
from run_cost import Cost
from s3_store import running_store

FILES = 10_000
IN_FLIGHT = 64
ENGINE, S5CMD, RCLONE = "engine", "s5cmd cp", "rclone copy"


def restore(bench: Bench) -> list[Figure]:
    with bench.setup() as setup, running_store() as store:
        tree = setup.tree(bench.count(FILES))
        setup.fill(store, tree, bench.delay_ms)
        figure = Figure(
            "restore",
            f"{tree.count} files of 19 KB on average from the bucket to an empty disk, {IN_FLIGHT} in flight,"
            f" {bench.delay_ms:g} ms to the store",
            {"files": tree.count, "in_flight": IN_FLIGHT, "delay_ms": bench.delay_ms, "rounds": bench.rounds},
        )

        def restored(name: str, command: list[str] | None) -> tuple[str, Run]:
            def run() -> Cost:
                tree.remove()
                # The engine takes a directory for a media store if it has Synapse's directories.
                setup.make_directory(tree.work / "local_content")
                if command:
                    cost = setup.run(store, command)
                else:
                    cost = setup.run_engine(store, tree.work, IN_FLIGHT, verb="restore")
                tree.need_restored(name)
                return cost

            return name, run

        commands = [
            restored(ENGINE, None),
            restored(S5CMD, s5cmd_copy(store, tree.work, IN_FLIGHT)),
            restored(RCLONE, rclone_copy(tree.work, IN_FLIGHT)),
        ]
        bench.interleaved(commands, figure.add)
    engine = figure.median(ENGINE)
    faster = min(figure.median(name).seconds for name in (S5CMD, RCLONE))
    figure.goals = [Goal("wall: engine / the faster of s5cmd cp and rclone copy", engine.seconds / faster, 1.0)]
    figure.remarks = ["the engine compares each file with its row and its ETag, and syncs it; the others do not"]
    return [figure]
