"""store: what the store costs and how far it goes. peer-flags: which flags make the peers quickest."""

from __future__ import annotations

from functools import partial

from bench import Bench, Ground
from contenders import RCLONE_CHECK, RCLONE_MOVE, rclone, s5cmd_move
from measured import Cost, RunFailed
from media import Tree
from places import BUCKET
from results import Figure, Goal
from s3_store import Store, load, running_store

FILES = 10_000
FLAG_FILES = 3000


def store(bench: Bench) -> list[Figure]:
    """The load generator's seconds are the least that any client can need: they are the delay, and nothing else."""
    count = bench.count(FILES)
    figure = Figure(
        "store",
        f"{count} PUTs of 19,000 bytes by the load generator, at {bench.delay_ms:g} ms and at none",
        {"requests": count, "delay_ms": bench.delay_ms, "rounds": bench.rounds},
    )
    with running_store(delay_ms=bench.delay_ms) as held, running_store() as quick:
        runs = {}
        for kind in ("put", "put-md5"):
            runs[f"{kind}, 64 in flight"] = partial(_load, held, kind, 64, count)
            runs[f"{kind}, 256 in flight"] = partial(_load, held, kind, 256, count)
            runs[f"{kind}, 64 in flight, no delay"] = partial(_load, quick, kind, 64, count)
        bench.interleaved(list(runs.items()), figure.add)
    for name in runs:
        figure.goals.append(
            Goal(f"CPU of the store, us a request: {name}", figure.median(name).store_us_per_request, 100)
        )
    for in_flight in (64, 256):
        floor = -(-count // in_flight) * bench.delay_ms / 1000
        found = figure.median(f"put, {in_flight} in flight").seconds
        figure.remarks.append(f"{in_flight} in flight: {found:.2f} s where the delay alone makes {floor:.2f} s")
    return [figure]


def _load(target: Store, kind: str, connections: int, count: int) -> Cost:
    before = target.zero()
    said = load(target, kind, connections, count)
    after = target.statistics()
    return Cost(
        seconds=said["seconds"],
        cpu_seconds=said["cpu_seconds"],
        peak_rss_mib=0,
        requests={"put": after["requests"]["put"]},
        store_cpu_seconds=after["cpu_seconds"] - before["cpu_seconds"],
        connections=after["most_connections"],
    )


def peer_flags(bench: Bench) -> list[Figure]:
    """Whether contenders.py has the best flags: it has, as long as no line is quicker than those marked as used."""
    figures = []
    with bench.ground() as ground, running_store(delay_ms=bench.delay_ms) as target:
        tree = ground.tree(bench.count(FLAG_FILES))
        for in_flight in (64, 256):
            figure = Figure(
                f"peer-flags-move-{in_flight}",
                f"{tree.count} files, nothing in the bucket, {in_flight} in flight, {bench.delay_ms:g} ms to the store",
                {"files": tree.count, "in_flight": in_flight, "delay_ms": bench.delay_ms, "rounds": bench.rounds},
            )
            runs = []
            for name, command in _moves(target, tree, in_flight).items():
                run = partial(_move, ground, target, tree, name, command)
                try:
                    run()
                except RunFailed as error:
                    figure.remarks.append(f"does not work: {name}: {str(error).splitlines()[-1]}")
                else:
                    runs.append((name, run))
            bench.interleaved(runs, figure.add)
            figures.append(figure)
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
                    checks.add(name, ground.run(target, command))
    return [*figures, checks]


def _moves(target: Store, tree: Tree, in_flight: int) -> dict[str, list[str]]:
    flag_sets = {
        (),
        RCLONE_MOVE,
        ("--no-traverse", *RCLONE_MOVE[1:]),
        ("--fast-list", *RCLONE_MOVE[1:]),
        (*RCLONE_MOVE, "--ignore-checksum"),
        (*RCLONE_MOVE, "--s3-disable-checksum"),
        (*RCLONE_MOVE, "--s3-use-unsigned-payload", "true"),
        (*RCLONE_MOVE, "--buffer-size", "0"),
        (*RCLONE_MOVE, "--use-server-modtime"),
        (*RCLONE_MOVE, "--s3-provider", "Minio"),
        (*RCLONE_MOVE, "--s3-provider", "AWS", "--s3-force-path-style=true"),
    }
    moves = {}
    for flags in sorted(flag_sets):
        used = " (used)" if flags == RCLONE_MOVE else ""
        moves[f"rclone move {' '.join(flags)}{used}"] = rclone("move", tree.work, BUCKET, in_flight, flags)
    move = moves["s5cmd mv (used)"] = s5cmd_move(target, tree.work, in_flight)
    moves["s5cmd mv --concurrency 1"] = [*move[:-2], "--concurrency", "1", *move[-2:]]
    return moves


def _move(ground: Ground, target: Store, tree: Tree, name: str, command: list[str]) -> Cost:
    target.clear()
    tree.lay_out()
    cost = ground.run(target, command)
    tree.need_moved(target, name)
    return cost
