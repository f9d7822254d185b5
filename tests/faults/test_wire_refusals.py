# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lasting refusals: one object's refusal fails it alone, refusals of all objects end the run after a limited number."""

from __future__ import annotations

import pytest
from library import Library
from media_inventory import MediaInventory
from offload_engine import Engine
from wire_faults import refuse
from wire_proxy import HEAD, PUT, WireProxy

# The number of refused objects in a row after which a run ends, and the most requests in flight then.
_IN_A_ROW = 20
_OF_A_SETTING = 5
_UNDER_WAY = 64


@pytest.fixture
def filled(library: Library, inventory: MediaInventory) -> Library:
    library.add([2_000] * 120, thumbnails=1)
    inventory.record_files()
    return library


ONE_OBJECT = {
    "archived": (403, "InvalidObjectState"),
    "denied": (403, "AccessDenied"),
    "no error document": (403, ""),
    "KMS key": (400, "KMS.DisabledException"),
    "setting": (400, "InvalidRequest"),
    "conflict": (409, "SomethingNew"),
    "not implemented": (501, "NotImplemented"),
}


@pytest.mark.usefixtures("filled")
def test_refused_objects_do_not_stop_others(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    """Each is refused for its own reason, spread over the run."""
    victims = sorted(inventory.known)[5 :: len(inventory.known) // len(ONE_OBJECT)][: len(ONE_OBJECT)]
    for victim, refusal in zip(victims, ONE_OBJECT.values(), strict=True):
        wire.add(PUT, refuse(*refusal), key=victim)
    outcome = engine.run()
    assert (outcome.status, outcome.failed_paths) == (1, victims), outcome.errors
    assert "error" not in outcome.report or not outcome.report["error"]
    assert outcome.files("deleted") == len(inventory.known) - len(victims)
    for victim, (dummy, code) in zip(victims, ONE_OBJECT.values(), strict=True):
        assert code in outcome.failures[victim]
    inventory.assert_nothing_lost()
    wire.faults.clear()
    assert engine.run().status == 0
    inventory.assert_all_moved()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("refusal", [(403, "InvalidObjectState"), (403, ""), (400, "")], ids=str)
def test_one_object_that_cannot_be_checked(
    engine: Engine, wire: WireProxy, inventory: MediaInventory, refusal: tuple[int, str]
) -> None:
    """Like an object with an older customer key: all others are moved, in every run."""
    engine.offload["delete_local"] = False
    assert engine.run().status == 0
    engine.offload["delete_local"] = True
    victim = sorted(inventory.known)[0]
    wire.add(PUT, refuse(*refusal), key=victim)
    wire.add(HEAD, refuse(*refusal), key=victim)
    outcome = engine.run()
    assert outcome.status in (0, 1), outcome.errors
    assert set(outcome.failed_paths) <= {victim}
    assert outcome.files("deleted") >= len(inventory.known) - 1
    inventory.assert_nothing_lost()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("concurrency", [1, 64])
@pytest.mark.parametrize("refusal", [(403, "AccessDenied"), (403, ""), (400, "KMS.DisabledException")], ids=str)
def test_a_server_that_refuses_every_put(
    engine: Engine, wire: WireProxy, inventory: MediaInventory, refusal: tuple[int, str], concurrency: int
) -> None:
    engine.offload["concurrency"] = concurrency
    before = inventory.on_disk()
    wire.add(PUT, refuse(*refusal))
    outcome = engine.run()
    assert outcome.status in (1, 2), outcome.errors
    assert "objects in a row" in outcome.report["error"]
    assert _IN_A_ROW < wire.count(PUT) <= _IN_A_ROW + 1 + 2 * concurrency
    assert len(outcome.failed_paths) <= _IN_A_ROW + 1
    assert (inventory.on_disk(), inventory.in_bucket()) == (before, {})


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("refusal", "setting", "value"),
    [
        ((400, "InvalidArgument"), "storage_class", "ONEZONE_IA"),
        ((400, "InvalidStorageClass"), "storage_class", "ONEZONE_IA"),
        ((501, "NotImplemented"), "storage_class", "STANDARD_IA"),
    ],
    ids=str,
)
def test_a_setting_that_the_server_refuses(
    engine: Engine, wire: WireProxy, inventory: MediaInventory, refusal: tuple[int, str], setting: str, value: str
) -> None:
    engine.s3[setting] = value
    before = inventory.on_disk()
    wire.add(PUT, refuse(*refusal))
    outcome = engine.run()
    assert outcome.status in (1, 2), outcome.errors
    assert f"synapse_s3_{setting} is {value}" in outcome.report["error"]
    assert _OF_A_SETTING < wire.count(PUT) <= _OF_A_SETTING + 1 + 2 * _UNDER_WAY
    assert len(outcome.errors.strip().splitlines()) <= _OF_A_SETTING + 2, outcome.errors
    assert (inventory.on_disk(), inventory.in_bucket()) == (before, {})
