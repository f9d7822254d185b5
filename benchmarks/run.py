# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures: run.py [--rounds N] [--scale X] [FIGURE...], all of them if none is given."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import Bench
from figures.audit import audit
from figures.downloads import downloads
from figures.large_file import large_file
from figures.nightly import memory, nightly
from figures.offload import already_there, first_offload, tls
from figures.restore import restore
from figures.sizes import few_files, mixed, videos
from figures.slow import slow_opens
from figures.store_limits import peer_flags, store
from paths import need_tools
from results import Figure

FIGURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "store": store,
    "peer-flags": peer_flags,
    "first-offload": first_offload,
    "videos": videos,
    "mixed": mixed,
    "few-files": few_files,
    "slow-opens": slow_opens,
    "already-there": already_there,
    "nightly": nightly,
    "memory": memory,
    "large-file": large_file,
    "tls": tls,
    "restore": restore,
    "audit": audit,
    "downloads": downloads,
}

# Takes long, and has no goals.
BY_NAME_ONLY = ("peer-flags",)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the cost of the engine and its peers.")
    parser.add_argument(
        "figures",
        nargs="*",
        metavar="FIGURE",
        help=f"of {', '.join(FIGURES)}; default: all but {', '.join(BY_NAME_ONLY)}",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="factor of all numbers of files; 0.02 only tries it")
    parser.add_argument("--delay-ms", type=float, default=22.0, help="delay of every response of the S3 server")
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path("/dev/shm"),  # noqa: S108 - in memory, so that no program waits for a disk
        help="directory of the media; in memory by default",
    )
    wanted = parser.parse_args()
    unknown = [name for name in wanted.figures if name not in FIGURES]
    if unknown:
        parser.error(f"unknown figures: {', '.join(unknown)}; known are {', '.join(FIGURES)}")
    need_tools()
    # So that all processes and files are removed again.
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(143))
    bench = Bench(wanted.rounds, wanted.scale, wanted.delay_ms, wanted.directory)
    found: list[Figure] = []
    took: dict[str, float] = {}
    for name in wanted.figures or [name for name in FIGURES if name not in BY_NAME_ONLY]:
        print(f"{name}:", flush=True)
        began = time.monotonic()
        for figure in FIGURES[name](bench):
            figure.print()
            print(f"  every run: {figure.write()}")
            found.append(figure)
        took[name] = time.monotonic() - began
    print("It took", ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items()), flush=True)
    missed = [f"{figure.name}: {goal.line()}" for figure in found for goal in figure.goals if not goal.reached]
    if missed and wanted.scale == 1:
        sys.exit("Goals that were not reached:\n  " + "\n  ".join(missed))


if __name__ == "__main__":
    main()
