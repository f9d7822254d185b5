# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nightly: few new files, a large history. memory: the growth of the process with the number of files."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

from bench import Bench
from paths import give_to_worker
from programs import Script
from results import Figure, Goal
from run_cost import Cost, RunFailed
from s3_store import running_store

FILES = 1000
HISTORY = 1_000_000
MEMORY_FILES = (100_000, 1_000_000)
SCRIPT = "upstream's s3_media_upload"


def nightly(bench: Bench) -> list[Figure]:
    history = bench.count(HISTORY)
    with bench.setup() as setup, running_store(delay_ms=bench.delay_ms, history=history) as store:
        setup.database.add_history(history)
        script = Script(setup.directory, setup.database.arguments)
        _mark_history_deleted(setup.run(store, script.command(script.update_db())), script)
        tree = setup.tree(bench.count(FILES))
        figure = Figure(
            "nightly",
            f"{tree.count} new files on the disk; a history of {history} rows and {2 * history} objects;"
            f" {bench.delay_ms:g} ms to the store",
            {"files": tree.count, "history": history, "delay_ms": bench.delay_ms, "rounds": bench.rounds},
        )

        def engine() -> Cost:
            store.clear()
            tree.lay_out()
            setup.database.reset_sent()
            cost = setup.run_engine(store, tree.work, 64)
            cost.notes["rows_sent"] = setup.database.sent()
            tree.need_moved(store, "The engine")
            return cost

        def upstream() -> Cost:
            store.clear()
            tree.lay_out()
            shutil.copy(script.directory / "before.db", script.directory / "cache.db")
            give_to_worker(script.directory / "cache.db")
            setup.database.reset_sent()
            steps = (script.update_db(), script.check_deleted(tree.work), script.upload(store, tree.work))
            cost = setup.run(store, script.command(*steps))
            cost.notes["rows_sent"] = setup.database.sent()
            tree.need_moved(store, SCRIPT)
            return cost

        bench.interleaved([("engine", engine)], figure.add)
        # Only once: it takes over a minute, and the difference is large.
        figure.add(SCRIPT, upstream())
        engines, scripts = figure.median("engine"), figure.median(SCRIPT)
        figure.remarks = [
            f"rows that PostgreSQL sent: engine {engines.notes['rows_sent']} (its own count"
            f" {engines.notes['database_rows']}), upstream's script {scripts.notes['rows_sent']}",
            f"the engine is {scripts.seconds / engines.seconds:.0f} times as fast",
        ]
        pages = min(tree.count, (2 * history + tree.count) // 1000 + 1)
        figure.goals = [
            Goal("rows sent to the engine, for each file on the disk", engines.notes["rows_sent"] / tree.count, 1),
            Goal("list requests of the engine", engines.requests.get("list", 0), pages),
            # Each file needs a HEAD, an upload, and a second look-up; a tenth more for pages with too few of the keys.
            Goal("requests of the engine, for each file on the disk", engines.all_requests / tree.count, 3.3),
        ]
    return [figure]


def _mark_history_deleted(_cost: Cost, script: Script) -> None:
    """Leave the script's cache as after its long first run: the whole history listed and marked as deleted."""
    with closing(sqlite3.connect(script.directory / "cache.db")) as cache:
        cache.execute("UPDATE media SET known_deleted = 1")
        cache.commit()
    shutil.move(script.directory / "cache.db", script.directory / "before.db")


def memory(bench: Bench) -> list[Figure]:
    counts = [bench.count(files) for files in MEMORY_FILES]
    figure = Figure(
        "memory",
        f"tiny files, {counts[0]} and {counts[1]}, nothing in the bucket, 64 in flight, no delay",
        {"files": counts, "in_flight": 64, "delay_ms": 0, "rounds": 1},
    )
    for count in counts:
        with bench.setup() as setup, running_store(options=("--keep", "0")) as store:
            tree = setup.tree(count, "tiny")
            cost = setup.run_engine(store, tree.master, 64, limit=3600)
            figure.add(f"engine, {count} files", cost)
            moved, kept = cost.notes["deleted"]["files"], store.statistics()["objects"]
            if (moved, kept) != (count, count):
                raise RunFailed(f"Of {count} files {moved} were deleted, and {kept} are in the bucket.")
    small, large = (figure.median(f"engine, {count} files").peak_rss_mib for count in counts)
    figure.goals = [
        Goal("peak memory in MB, of the larger number", large * 1.048576, 150),
        Goal("peak memory: the larger number / the smaller", large / small, 1.2),
    ]
    return [figure]
