# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""store: cost and limits of the S3 server. peer-flags: the fastest flags of the peers."""

from __future__ import annotations

from functools import partial

from bench import Bench, Setup
from media import Tree
from paths import BUCKET
from programs import RCLONE_CHECK, RCLONE_MOVE, rclone, s5cmd_move
from results import Figure, Goal
from run_cost import Cost, RunFailed
from s3_store import Store, running_store

from figures.moves import wire
from figures.sizes import MIXED_FILES, VIDEOS

FILES = 10_000
FLAG_FILES = 3000

FlagSets = tuple[tuple[str, ...], ...]

# In addition to those in programs.py.
FLAGS: FlagSets = (
    (),
    ("--no-traverse", *RCLONE_MOVE[1:]),
    ("--fast-list", *RCLONE_MOVE[1:]),
    (*RCLONE_MOVE, "--ignore-checksum"),
    (*RCLONE_MOVE, "--s3-disable-checksum"),
    (*RCLONE_MOVE, "--s3-use-unsigned-payload", "true"),
    (*RCLONE_MOVE, "--buffer-size", "0"),
    (*RCLONE_MOVE, "--use-server-modtime"),
    (*RCLONE_MOVE, "--s3-provider", "Minio"),
    (*RCLONE_MOVE, "--s3-provider", "AWS", "--s3-force-path-style=true"),
)
S5CMD: FlagSets = (("--concurrency", "1"),)
# By default rclone sends up to 200 MiB, and s5cmd up to 50 MiB, in one request.
FLAGS_OF_LARGE: FlagSets = (
    (),
    (*RCLONE_MOVE, "--s3-upload-cutoff", "8M", "--s3-chunk-size", "8M", "--s3-upload-concurrency", "4"),
    (*RCLONE_MOVE, "--s3-upload-cutoff", "8M", "--s3-chunk-size", "8M", "--s3-disable-checksum"),
    (*RCLONE_MOVE, "--ignore-checksum"),
    (*RCLONE_MOVE, "--s3-use-unsigned-payload", "true"),
    (*RCLONE_MOVE, "--buffer-size", "0"),
    (*RCLONE_MOVE, "--order-by", "size,descending"),
    (*RCLONE_MOVE, "--order-by", "size,mixed,50"),
)
S5CMD_OF_LARGE: FlagSets = (
    ("--part-size", "8", "--concurrency", "4"),
    ("--part-size", "16", "--concurrency", "16"),
    ("--part-size", "128"),
)


def store(bench: Bench) -> list[Figure]:
    """The load generator's seconds are the minimum of any client: the delay, and nothing else."""
    count = bench.count(FILES)
    figure = Figure(
        "store",
        f"{count} PUTs of 19,000 bytes by the load generator, at {bench.delay_ms:g} ms and at none",
        {"requests": count, "delay_ms": bench.delay_ms, "rounds": bench.rounds},
    )
    with running_store(delay_ms=bench.delay_ms) as held, running_store() as quick:
        runs = {}
        for kind in ("put", "put-md5"):
            runs[f"{kind}, 64 in flight"] = partial(wire, held, kind, 64, count)
            runs[f"{kind}, 256 in flight"] = partial(wire, held, kind, 256, count)
            runs[f"{kind}, 64 in flight, no delay"] = partial(wire, quick, kind, 64, count)
        bench.interleaved(list(runs.items()), figure.add)
    for name in runs:
        figure.goals.append(
            Goal(f"CPU of the store, us a request: {name}", figure.median(name).store_us_per_request, 100)
        )
    for in_flight in (64, 256):
        floor = -(-count // in_flight) * bench.delay_ms / 1000
        found = figure.median(f"put, {in_flight} in flight").seconds
        figure.remarks.append(f"{in_flight} in flight: {found:.2f} s where the delay alone takes {floor:.2f} s")
    return [figure]


def peer_flags(bench: Bench) -> list[Figure]:
    """Check that programs.py has the best flags: no line may be faster than those marked as used."""
    figures = []
    with bench.setup() as setup, running_store(delay_ms=bench.delay_ms) as target:
        for shape, files, in_flight in (("videos", VIDEOS, 64), ("mixed", MIXED_FILES, 64)):
            # The peers need no rows.
            tree = Tree(setup.directory / shape, bench.count(files), shape)
            moves = _moves(target, tree, in_flight, FLAGS_OF_LARGE, S5CMD_OF_LARGE)
            figures.append(_compare(bench, setup, target, tree, f"peer-flags-{shape}", moves))
            tree.remove()
        tree = Tree(setup.directory / "real", bench.count(FLAG_FILES), "real")
        for in_flight in (64, 256):
            moves = _moves(target, tree, in_flight, FLAGS, S5CMD)
            figures.append(_compare(bench, setup, target, tree, f"peer-flags-move-{in_flight}", moves))
        # The last move has left everything in the bucket.
        checks = Figure(
            "peer-flags-check",
            f"{tree.count} files, all in the bucket, {bench.delay_ms:g} ms to the store",
            {"files": tree.count, "delay_ms": bench.delay_ms, "rounds": bench.rounds},
        )
        tree.lay_out()
        for flags in (RCLONE_CHECK, (), ("--fast-list", "--s3-list-version", "2"), ("--fast-list", "--one-way")):
            used = " (used)" if flags == RCLONE_CHECK else ""
            for checkers in (8, 64):
                name = f"rclone check --checkers {checkers} {' '.join(flags)}{used if checkers == 64 else ''}"
                command = rclone("check", tree.work, BUCKET, checkers, flags)
                for _round in range(bench.rounds):
                    checks.add(name, setup.run(target, command))
    return [*figures, checks]


def _compare(bench: Bench, setup: Setup, target: Store, tree: Tree, name: str, moves: dict[str, list[str]]) -> Figure:
    figure = Figure(
        name,
        f"{tree.count} files, nothing in the bucket, {bench.delay_ms:g} ms to the store",
        {"files": tree.count, "delay_ms": bench.delay_ms, "rounds": bench.rounds},
    )
    runs = []
    for words, command in moves.items():
        run = partial(_move, setup, target, tree, words, command)
        try:
            run()
        except RunFailed as error:
            figure.remarks.append(f"does not work: {words}: {str(error).splitlines()[-1]}")
        else:
            runs.append((words, run))
    bench.interleaved(runs, figure.add)
    return figure


def _moves(
    target: Store,
    tree: Tree,
    in_flight: int,
    flag_sets: tuple[tuple[str, ...], ...],
    s5cmd: tuple[tuple[str, ...], ...],
) -> dict[str, list[str]]:
    moves = {}
    for flags in (RCLONE_MOVE, *flag_sets):
        used = " (used)" if flags == RCLONE_MOVE else ""
        words = f"rclone move --transfers {in_flight} {' '.join(flags)}{used}"
        moves[words] = rclone("move", tree.work, BUCKET, in_flight, flags)
    move = moves[f"s5cmd --numworkers {in_flight} mv (used)"] = s5cmd_move(target, tree.work, in_flight)
    for flags in s5cmd:
        moves[f"s5cmd --numworkers {in_flight} mv {' '.join(flags)}"] = [*move[:-2], *flags, *move[-2:]]
    return moves


def _move(setup: Setup, target: Store, tree: Tree, name: str, command: list[str]) -> Cost:
    target.clear()
    tree.lay_out()
    cost = setup.run(target, command)
    tree.need_moved(target, name)
    return cost
