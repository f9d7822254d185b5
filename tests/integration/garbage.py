# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets time pass for a garbage collection: objects get an age, and the record of what has no row too."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

DAY_SECONDS = 86_400


def put_old(client: Any, bucket: str, key: str, content: bytes, age_days: float = 90) -> None:
    """An object that the test server says is so old: rclone keeps the time that it is told."""
    then = time.time() - age_days * DAY_SECONDS
    client.put_object(Bucket=bucket, Key=key, Body=content, Metadata={"mtime": f"{then:.3f}"})


def pass_time(state_dir: Path, days: float) -> None:
    """Makes everything in the record of sightings so much older."""
    record = state_dir / "gc" / "sightings"
    header, *lines = record.read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    older = [json.dumps([path, identity, seen - days * DAY_SECONDS]) for path, identity, seen in entries]
    # In place, so that it stays the file of its owner.
    record.write_text("".join(f"{line}\n" for line in [header, *older]), encoding="utf-8")
