# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit of random states says what a comparison path by path says, wherever batches end and whatever fails."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.audit import run, sources
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.audit.counts import BESIDE, FINDINGS
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.audit.run import (
    Audit,
    AuditSettings,
    audit,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.database import ordered
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.selection import (
    Rules,
    reason_to_leave,
)
from audit_state import NOW, State, expected, random_state
from object_store import Object, object_store
from scripted_store import error

RULES = Rules(timedelta(days=1), timedelta(seconds=60), store_remote=True)
STATES = 150


def rule(file: Any, row: Any) -> str | None:
    return reason_to_leave(file, row, RULES, NOW)


@pytest.fixture(params=range(6))
def small_batches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Sizes of batches and pages at which a batch ends between any two paths sooner or later."""
    size = int(request.param) + 1
    monkeypatch.setattr(ordered, "BATCH", size)
    monkeypatch.setattr(sources, "FILES", 1 + size % 3)
    return 1 + size % 4


def check(result: Audit, state: State, wanted: dict[str, set[str]]) -> None:
    for name in (*FINDINGS, *BESIDE):
        paths = wanted.get(name, set())
        finding = result.findings[name]
        assert set(finding.examples) <= paths, name
        if len(paths) <= 5 and name not in ("new", "url_cache"):
            assert set(finding.examples) == paths, name
        if name not in ("new", "url_cache"):
            assert finding.files == len(paths), name
        if name in ("bucket_only", "orphans_in_bucket", "foreign_in_bucket", "archived"):
            assert finding.bytes == sum(state.objects[path].size for path in paths), name
        if name in ("disk_only", "both_equal", "orphans_on_disk", "both_different"):
            assert finding.bytes == sum(state.files[path].size for path in paths), name


@pytest.mark.parametrize("prefix", ["", "media/", "m"])
def test_every_state_is_described_as_it_is(small_batches: int, prefix: str, tmp_path: Path) -> None:
    for number in range(STATES // 18):
        seed = f"{small_batches} {prefix} {number}"
        state = random_state(random.Random(seed))
        directory = tmp_path / str(number)
        directory.mkdir()
        database = state.write(directory)
        objects = {prefix + path: found for path, found in state.objects.items()}
        if prefix:
            objects["a/before"] = objects["zzz"] = Object(3)
        with object_store(objects, small_batches) as store:
            settings = AuditSettings(str(directory / "media_store"), database, store.server.settings(prefix=prefix))
            result = audit(settings, rule, now=NOW)
            assert result.failures == {}, seed
            assert store.pages <= len(state.objects) / small_batches + 1, seed
        check(result, state, expected(state))


def test_nothing_is_called_lost_where_the_listing_fails(small_batches: int, tmp_path: Path) -> None:
    for number in range(STATES // 18):
        seed = f"listing {small_batches} {number}"
        chance = random.Random(seed)
        state = random_state(chance)
        directory = tmp_path / str(number)
        directory.mkdir()
        database = state.write(directory)
        served = chance.randrange(3)
        with object_store(dict(state.objects), small_batches) as store:
            store.before = lambda request, store=store, served=served: (
                error(403, "AccessDenied") if "list-type" in request.target and store.pages > served else None
            )
            settings = AuditSettings(str(directory / "media_store"), database, store.server.settings())
            result = audit(settings, rule, now=NOW)
        keys = sorted(state.objects)
        complete = bool(served) and len(keys) <= served * small_batches
        assert ("bucket" in result.failures) is not complete, seed
        shown = keys[: served * small_batches]
        until = None if complete else shown[-1] if shown else ""
        check(result, state, expected(state, objects_until=until))


@pytest.mark.parametrize("missing", ["disk", "database", "bucket"])
def test_nothing_is_called_lost_without_one_of_the_three(missing: str, small_batches: int, tmp_path: Path) -> None:
    for number in range(STATES // 18):
        state = random_state(random.Random(f"{missing} {small_batches} {number}"))
        directory = tmp_path / str(number)
        directory.mkdir()
        database = state.write(directory)
        with object_store(dict(state.objects), small_batches) as store:
            result = audit(
                AuditSettings(
                    None if missing == "disk" else str(directory / "media_store"),
                    None if missing == "database" else database,
                    None if missing == "bucket" else store.server.settings(),
                    **{{"disk": "root", "database": "database", "bucket": "store"}[missing] + "_failure": "away"},
                ),
                rule,
                now=NOW,
            )
        assert result.failures == {missing: "away"}
        assert result.findings["nowhere"].files == 0
        check(
            result,
            state,
            expected(
                state,
                objects_known=missing != "bucket",
                rows_known=missing != "database",
                files_known=missing != "disk",
            ),
        )


def test_the_model_reaches_every_finding(tmp_path: Path) -> None:
    """Otherwise the comparisons above would prove little."""
    seen: set[str] = set()
    for number in range(200):
        seen |= set(expected(random_state(random.Random(number))))
    # What cannot be asked is in the other tests.
    assert seen == {*FINDINGS, *BESIDE} - {"not_asked"}
    assert run.NEW_SECONDS == 3600
