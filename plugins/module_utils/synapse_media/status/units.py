# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What systemd and the container engine say of the migrate job, which its own sandbox or container could not ask."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..audit.counts import date_of

DEFAULT_UNIT = "synapse-s3-migrate"
PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "Result",
    "ExecMainStatus",
    "ExecMainStartTimestamp",
    "ExecMainExitTimestamp",
    "NextElapseUSecRealtime",
)
_SECONDS = 10
_TIME = "%a %Y-%m-%d %H:%M:%S UTC"


@dataclass(frozen=True)
class MigrateJob:
    """Times in seconds since 1970, None if there is none. Without systemd nothing is `known`."""

    known: bool = False
    installed: bool = False
    has_timer: bool = False
    timer_active: bool = False
    next_run: float | None = None
    running: bool = False
    last_started: float | None = None
    last_ended: float | None = None
    last_result: str = ""
    last_exit_status: int | None = None
    # Of a Synapse in a container: the operator's image and its ids, now and as the derived image was built from it.
    image: str = ""
    image_now: str = ""
    image_built_from: str = ""

    @property
    def last_run_failed(self) -> bool:
        return self.last_started is not None and self.last_result not in ("", "success")

    @property
    def image_changed(self) -> bool:
        return bool(self.image_now and self.image_built_from and self.image_now != self.image_built_from)

    def as_dict(self) -> dict[str, Any]:
        times = {name: getattr(self, name) for name in ("next_run", "last_started", "last_ended")}
        facts: dict[str, Any] = {
            "known": self.known,
            "installed": self.installed,
            "timer": None
            if not self.known
            else "active"
            if self.timer_active
            else "inactive"
            if self.has_timer
            else "off",
            "running": self.running,
            **{name: None if value is None else date_of(value) for name, value in times.items()},
            "last_result": self.last_result or None,
            "last_exit_status": self.last_exit_status,
        }
        if self.image:
            facts["image"] = {
                "name": self.image,
                "id": self.image_now or None,
                "built_from": self.image_built_from or None,
                "changed": self.image_changed,
            }
        return facts


def ask_systemd(unit: str = DEFAULT_UNIT) -> str:
    """What `systemctl show` says of the service and the timer; empty where it says nothing."""
    command = ["systemctl", "show", f"--property={','.join(PROPERTIES)}", f"{unit}.service", f"{unit}.timer"]
    try:
        done = subprocess.run(
            command,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def migrate_job(facts: str) -> MigrateJob:
    """Understands the text of ask_systemd(), and of an image: lines such as Image=, ImageId= and ImageBuiltFrom=."""
    blocks = [dict(_pairs(block)) for block in facts.strip().split("\n\n")]
    service = next((block for block in blocks if block.get("Id", "").endswith(".service")), {})
    timer = next((block for block in blocks if block.get("Id", "").endswith(".timer")), {})
    image: Mapping[str, str] = next((block for block in blocks if "Image" in block), {})
    started = _seconds(service.get("ExecMainStartTimestamp"))
    return MigrateJob(
        known=bool(service),
        installed=service.get("LoadState") == "loaded",
        has_timer=timer.get("LoadState") == "loaded",
        timer_active=timer.get("ActiveState") == "active",
        next_run=_seconds(timer.get("NextElapseUSecRealtime")),
        running=service.get("ActiveState") in ("active", "activating", "deactivating"),
        last_started=started,
        last_ended=_seconds(service.get("ExecMainExitTimestamp")),
        last_result=service.get("Result", "") if started is not None else "",
        last_exit_status=_number(service.get("ExecMainStatus")) if started is not None else None,
        image=image.get("Image", ""),
        image_now=_digits(image.get("ImageId", "")),
        image_built_from=_digits(image.get("ImageBuiltFrom", "")),
    )


def _pairs(block: str) -> list[tuple[str, str]]:
    return [(name, value) for name, equals, value in (line.partition("=") for line in block.splitlines()) if equals]


def _seconds(text: str | None) -> float | None:
    try:
        return datetime.strptime(text or "", _TIME).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _digits(image_id: str) -> str:
    """One engine writes the kind of digest before it, another one does not."""
    return image_id.strip().rpartition(":")[2]
