# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""audit: `status` compares database, disk and bucket; beside it the listing alone, which no audit can do without."""

from __future__ import annotations

from functools import partial

from bench import Bench
from results import Figure, Goal
from run_cost import Cost, RunFailed
from s3_store import running_store

from figures.moves import wire

# With an original and a thumbnail each: a million objects, and a million rows.
MEDIA = 500_000
ENGINE, LISTING = "engine", "load generator, the listing alone"


def audit(bench: Bench) -> list[Figure]:
    media = bench.count(MEDIA)
    with bench.setup() as setup, running_store(delay_ms=bench.delay_ms, history=media) as store:
        setup.database.add_history(media)
        setup.database.add_thumbnails(media)
        root = setup.directory / "media_store"
        setup.make_directory(root / "local_content")
        figure = Figure(
            "audit",
            f"{2 * media} objects in the bucket, {2 * media} rows, an empty disk, {bench.delay_ms:g} ms to the store",
            {"objects": 2 * media, "rows": 2 * media, "delay_ms": bench.delay_ms, "rounds": bench.rounds},
        )

        def engine() -> Cost:
            cost = setup.run_engine(store, root, 64, verb="status")
            found = cost.notes["audit"]["bucket_only"]["files"]
            if found != 2 * media:
                raise RunFailed(f"Of {2 * media} objects {found} were found to be in the bucket alone.")
            return cost

        # One after another: each page begins where the one before it ended.
        listing = partial(wire, store, "list", 1, -(-2 * media // 1000))
        bench.interleaved([(ENGINE, engine), (LISTING, listing)], figure.add)
    found, listed = figure.median(ENGINE), figure.median(LISTING)
    figure.goals = [
        Goal("seconds of wall beyond the listing alone", found.seconds - listed.seconds, 10 * bench.scale),
        Goal("list requests", found.requests["list"], 2 * media // 1000 + 1),
        Goal("peak memory in MB", found.peak_rss_mib * 1.048576, 150),
    ]
    return [figure]
