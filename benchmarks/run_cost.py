# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cost of one run of one program: the client's time, CPU and memory, and the requests that the server counted."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import IO, Any

from paths import MEASURE, as_worker
from s3_store import Store


class RunFailed(Exception):
    """A program did not do its work, so its figure would mean nothing."""


@dataclass
class Cost:
    seconds: float
    cpu_seconds: float
    peak_rss_mib: float
    requests: dict[str, int]
    store_cpu_seconds: float
    connections: int
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def all_requests(self) -> int:
        return sum(self.requests.values())

    @property
    def store_us_per_request(self) -> float:
        return self.store_cpu_seconds / max(self.all_requests, 1) * 1e6

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "all_requests": self.all_requests}


def measure(store: Store, command: list[str], environment: dict[str, str], limit: int = 1800) -> tuple[Cost, str]:
    """Return the cost and the command's standard output. After `limit` seconds it is killed."""
    with tempfile.TemporaryDirectory(prefix="synapse-s3-bench-") as directory:
        report, errors = Path(directory) / "report", Path(directory) / "errors"
        before = store.zero()
        with errors.open("w") as file:
            status, output = _run([str(MEASURE), str(report), str(limit), *as_worker(command)], environment, file)
        after = store.statistics()
        said = json.loads(report.read_text())
        if status or said["status"]:
            words = (errors.read_text() + output)[-1000:]
            raise RunFailed(f"{' '.join(command)} ended with status {said['status']}:\n{words}")
    return (
        Cost(
            seconds=said["seconds"],
            cpu_seconds=said["cpu_seconds"],
            peak_rss_mib=said["peak_rss_kib"] / 1024,
            requests={kind: count for kind, count in after["requests"].items() if count},
            store_cpu_seconds=after["cpu_seconds"] - before["cpu_seconds"],
            connections=after["most_connections"],
        ),
        output,
    )


def _run(command: list[str], environment: dict[str, str], errors: IO[str]) -> tuple[int, str]:
    process = subprocess.Popen(
        command,
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
    try:
        output = process.communicate()[0]
    except BaseException:
        # SIGTERM instead of SIGKILL: it ends the command that it measures, too.
        process.terminate()
        process.wait()
        raise
    return process.returncode, output


def middle(costs: list[Cost]) -> Cost:
    """Return the median of each figure by itself; requests and notes are those of the last run."""
    return Cost(
        seconds=median(cost.seconds for cost in costs),
        cpu_seconds=median(cost.cpu_seconds for cost in costs),
        peak_rss_mib=median(cost.peak_rss_mib for cost in costs),
        requests=costs[-1].requests,
        store_cpu_seconds=median(cost.store_cpu_seconds for cost in costs),
        connections=max(cost.connections for cost in costs),
        notes=costs[-1].notes,
    )
