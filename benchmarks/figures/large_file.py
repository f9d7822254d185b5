# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""large-file: one file of 5 GB."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench import Bench, Run, Setup
from paths import AWSCRT, BUCKET, as_worker
from programs import RCLONE_MOVE, WITHOUT_CHECKSUMS, aws, rclone, s5cmd_move
from results import Figure, Goal
from run_cost import Cost, RunFailed
from s3_store import Store, running_store

SIZE = 5_000_000_000
MEDIA_ID = "LargeFileLargeFileLargeF"
NAME = f"local_content/{MEDIA_ID[:2]}/{MEDIA_ID[2:4]}/{MEDIA_ID[4:]}"
# Mostly holes, which tmpfs reads as zeros without storing them; no program hashes or sends them faster.
MAKE = """
import os, sys
path, size = sys.argv[1], int(sys.argv[2])
os.makedirs(os.path.dirname(path))
with open(path, "wb") as file:
    for offset in range(0, size - 4096, 1 << 20):
        file.seek(offset)
        file.write(os.urandom(4096))
    file.truncate(size)
os.utime(path, (1767225600, 1767225600))
"""


def large_file(bench: Bench) -> list[Figure]:
    size = max(20 << 20, round(SIZE * bench.scale))
    figure = Figure(
        "large-file",
        f"one file of {size} bytes, {bench.delay_ms:g} ms to the store",
        {"size": size, "delay_ms": bench.delay_ms, "rounds": bench.rounds},
    )
    with bench.setup() as setup, running_store(delay_ms=bench.delay_ms, options=("--keep", "0")) as store:
        master = setup.directory / "master" / NAME
        subprocess.run(as_worker([sys.executable, "-c", MAKE, str(master), str(size)]), check=True)
        digest = subprocess.run(["sha256sum", str(master)], check=True, capture_output=True, text=True).stdout.split()[
            0
        ]
        bench.interleaved(_programs(setup, store, master, size, digest), figure.add)
    ratio = figure.median("engine").seconds / figure.median("aws s3 cp").seconds
    figure.goals = [Goal("wall: engine / aws s3 cp", ratio, 1.0)]
    figure.remarks = ["the goal is about the engine and aws s3 cp with their defaults; the other lines are additional"]
    return [figure]


def _programs(setup: Setup, store: Store, master: Path, size: int, digest: str) -> list[tuple[str, Run]]:
    root = setup.directory / "large"

    def sent(
        name: str, command: list[str] | None, sha256: str | None = None, settings: Mapping[str, str] | None = None
    ) -> Run:
        def run() -> Cost:
            store.clear()
            place = _lay_out(root, master)
            if command is None:
                _row(setup, sha256)
                cost = setup.run_engine(store, root, 64)
            else:
                cost = setup.run(store, command, settings)
            if {key: kept.size for key, kept in store.listing().items()} != {NAME: size}:
                raise RunFailed(f"{name} did not put the file into the bucket: {store.listing()}")
            if command is None and place.exists():
                raise RunFailed("The engine left the file on the disk.")
            return cost

        return run

    target = f"{BUCKET}/{NAME}"
    copy = aws(store, "cp", str(root / NAME), f"s3://{target}")
    flags = (*RCLONE_MOVE, "--s3-upload-concurrency", "16")
    return [
        ("engine", sent("The engine", None, digest)),
        ("engine, no sha256 in the row", sent("The engine", None)),
        ("aws s3 cp", sent("aws s3 cp", copy)),
        ("aws s3 cp, without checksums", sent("aws s3 cp", copy, settings=WITHOUT_CHECKSUMS)),
        # As version 2 of the command has it built in.
        ("aws s3 cp, with awscrt", sent("aws s3 cp", copy, settings={"PYTHONPATH": str(AWSCRT)})),
        ("s5cmd mv", sent("s5cmd mv", s5cmd_move(store, root, 64))),
        ("rclone moveto", sent("rclone moveto", rclone("moveto", root / NAME, target, 64, flags))),
    ]


def _lay_out(root: Path, master: Path) -> Path:
    place = root / NAME
    subprocess.run(as_worker(["mkdir", "-p", str(place.parent)]), check=True)
    if not place.exists():
        os.link(master, place)
    return place


def _row(setup: Setup, sha256: str | None) -> None:
    """Without a length: Synapse's column is a 32-bit integer."""
    setup.database.execute("TRUNCATE local_media_repository")
    setup.database.execute(
        "INSERT INTO local_media_repository (media_id, media_type, created_ts, last_access_ts, sha256)"
        " VALUES (%s, 'video/mp4', 1767225600000, NULL, %s)",
        (MEDIA_ID, sha256),
    )
