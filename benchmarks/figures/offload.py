# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""first-offload and tls: the bucket is empty. already-there: the bucket has every file."""

from __future__ import annotations

from bench import Bench, Setup
from media import Tree
from paths import BUCKET
from programs import RCLONE_CHECK, Script, rclone
from results import Figure, Goal
from run_cost import Cost, RunFailed
from s3_store import Store, make_certificate, running_store

from figures.moves import cpu_goal, juicefs_goals, movers, wall_goal

FILES = 10_000
FAR_MS = 100.0
SCRIPT_FILES = 300
SCRIPT = "upstream's s3_media_upload"


def first_offload(bench: Bench) -> list[Figure]:
    figures = []
    with bench.setup() as setup, running_store(delay_ms=bench.delay_ms) as store:
        tree = setup.tree(bench.count(FILES))
        for in_flight, delay_ms, wall, cpu in (
            (64, bench.delay_ms, 0.95, 0.5),
            (256, bench.delay_ms, 0.85, 0.5),
            (256, FAR_MS, 1.0, None),
        ):
            figure = Figure(
                f"first-offload-{in_flight}" + (f"-{delay_ms:g}-ms" if delay_ms == FAR_MS else ""),
                f"{tree.count} files of 19 KB on average, nothing in the bucket, {in_flight} in flight,"
                f" {delay_ms:g} ms to the store",
                {"files": tree.count, "in_flight": in_flight, "delay_ms": delay_ms, "rounds": bench.rounds},
            )
            store.delay(delay_ms)
            # Once is enough for a peer that takes several times as long.
            with_juicefs = in_flight == 64
            bench.interleaved(movers(setup, store, tree, in_flight, with_juicefs=with_juicefs), figure.add)
            figure.goals = [wall_goal(figure, wall), *([cpu_goal(figure, cpu)] if cpu else [])]
            if with_juicefs:
                figure.goals += juicefs_goals(figure, 0.5)
            figures.append(figure)
        store.delay(bench.delay_ms)
        _against_script(bench, setup, store, tree, figures[:2])
    return figures


def tls(bench: Bench) -> list[Figure]:
    with bench.setup() as setup:
        certificate = make_certificate(setup.directory)
        with running_store(delay_ms=bench.delay_ms, certificate=certificate) as store:
            tree = setup.tree(bench.count(FILES))
            figure = Figure(
                "tls",
                f"{tree.count} files of 19 KB on average over TLS, nothing in the bucket, 64 in flight,"
                f" {bench.delay_ms:g} ms to the store",
                {"files": tree.count, "in_flight": 64, "delay_ms": bench.delay_ms, "rounds": bench.rounds},
            )
            bench.interleaved(movers(setup, store, tree, 64), figure.add)
            figure.goals = [wall_goal(figure, 1.0), cpu_goal(figure, 0.8)]
    return [figure]


def already_there(bench: Bench) -> list[Figure]:
    with bench.setup() as setup, running_store(delay_ms=bench.delay_ms) as store:
        tree = setup.tree(bench.count(FILES))
        setup.fill(store, tree, bench.delay_ms)
        figure = Figure(
            "already-there",
            f"{tree.count} files, all in the bucket after `aws s3 sync`: proven and unlinked by the engine,"
            f" compared by the peer; {bench.delay_ms:g} ms to the store",
            {"files": tree.count, "in_flight": 64, "delay_ms": bench.delay_ms, "rounds": bench.rounds},
        )

        def engine() -> Cost:
            tree.lay_out()
            cost = setup.run_engine(store, tree.work, 64)
            tree.need_moved(store, "The engine")
            if cost.notes["verified"]["files"] != tree.count:
                raise RunFailed(f"The engine sent files that were in the bucket: {cost.notes}")
            return cost

        def check() -> Cost:
            tree.lay_out()
            return setup.run(store, rclone("check", tree.work, BUCKET, 64, RCLONE_CHECK))

        bench.interleaved([("engine", engine), ("rclone check", check)], figure.add)
        engines, checks = figure.median("engine"), figure.median("rclone check")
        figure.goals = [
            Goal("wall: engine / rclone check", engines.seconds / checks.seconds, 2),
            Goal("list requests of the engine", engines.requests.get("list", 0), 11),
        ]
    return [figure]


def _against_script(bench: Bench, setup: Setup, store: Store, large: Tree, figures: list[Figure]) -> None:
    """The script takes minutes for as many files, so it gets fewer, and only its upload is timed: both favour it."""
    setup.database.execute("TRUNCATE local_media_repository, remote_media_cache")
    tree = setup.tree(bench.count(SCRIPT_FILES))
    script = Script(setup.directory, setup.database.arguments)
    store.clear()
    tree.lay_out()
    setup.run(store, script.command(script.update_db(), script.check_deleted(tree.work)))
    cost = setup.run(store, script.command(script.upload(store, tree.work)))
    tree.need_moved(store, SCRIPT)
    rate = tree.count / cost.seconds
    for figure in figures:
        figure.add(SCRIPT, cost)
        figure.scaled[SCRIPT] = f" ({tree.count} files)"
        figure.remarks.append(
            f"{SCRIPT}: {rate:.1f} files/s in one run of `upload --delete` over {tree.count} files;"
            f" {large.count} would take {large.count / rate:.0f} s"
        )
        ratio = large.count / figure.median("engine").seconds / rate
        figure.goals.append(Goal("files a second: engine / upstream's script", ratio, 60, at_least=True))
