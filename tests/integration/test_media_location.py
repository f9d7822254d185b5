# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module media_location: what it records, what it refuses, and that the customer key shows nowhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_module import run_module, run_module_process

KEY = "0123456789abcdef0123456789s3cret"
PLACE = {"bucket": "media", "prefix": "a/", "endpoint_url": "https://s3.example.org", "sse_customer_key": KEY}


def run(path: Path, state: str = "recorded", check: bool = False, **changes: Any) -> dict[str, Any]:
    return run_module("media_location", {**PLACE, "path": str(path), "state": state, **changes}, check=check)


def test_a_location_is_recorded_once(tmp_path: Path) -> None:
    path = tmp_path / "location.json"
    assert run(path, state="compared")["changed"] is False
    checked = run(path, check=True)
    assert (checked["changed"], path.exists()) == (True, False)
    done = run(path)
    assert (done["changed"], done["same"], done["diff"]) == (True, True, checked["diff"])
    assert path.stat().st_mode & 0o777 == 0o600
    written = path.read_bytes()
    for check in (True, False):
        assert run(path, check=check)["changed"] is False
    assert path.read_bytes() == written
    assert b"s3cret" not in written


def test_a_record_of_an_earlier_release_is_completed(tmp_path: Path) -> None:
    path = tmp_path / "location.json"
    path.write_text(json.dumps({"bucket": "media", "prefix": "a/"}))
    assert run(path, state="compared")["changed"] is False
    assert run(path)["changed"] is True
    assert run(path)["changed"] is False
    assert run(path, endpoint_url="").get("failed")


@pytest.mark.parametrize(
    "change",
    [{"bucket": "b"}, {"prefix": "a"}, {"endpoint_url": "https://s4.example.org"}, {"sse_customer_key": KEY[::-1]}],
)
def test_another_location_is_refused_until_it_is_confirmed(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "location.json"
    run(path)
    before = path.read_bytes()
    for state in ("compared", "recorded"):
        refused = run(path, state=state, **change, confirm_location="true")
        assert refused["failed"], refused
        assert f"synapse_s3_{next(iter(change))} is" in refused["msg"]
        assert "which names another location" in refused["msg"]
    assert path.read_bytes() == before

    name = refused["msg"].partition("synapse_s3_confirm_location: '")[2].partition("'")[0]
    assert run(path, state="compared", **change, confirm_location=name)["same"] is False
    assert path.read_bytes() == before
    assert run(path, **change, confirm_location=name)["changed"] is True
    assert run(path, **change, confirm_location=name)["changed"] is False
    # The confirmation that was left behind permits no other change.
    assert run(path, **{**change, "bucket": "third"}, confirm_location=name)["failed"]


def test_the_customer_key_is_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "location.json"
    args = {**PLACE, "path": str(path), "state": "recorded"}
    output = [run_module_process("media_location", args, diff=True)]
    output.append(run_module_process("media_location", {**args, "sse_customer_key": KEY[::-1]}, diff=True))
    output.append(run_module_process("media_location", {**args, "sse_customer_key": ""}, diff=True))
    assert [done.returncode for done in output] == [0, 1, 1]
    assert "s3cret" not in "".join(done.stdout + done.stderr for done in output)
    assert "pbkdf2" not in "".join(done.stdout + done.stderr for done in output)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    refused = run(tmp_path / "absent/location.json")
    assert refused["failed"] and "cannot be written" in refused["msg"]
