# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""With a low limit of open files the engine uses fewer connections, and no file fails."""

from __future__ import annotations

import resource

import pytest
from library import Library
from media_inventory import MediaInventory
from offload_engine import Engine
from wire_proxy import WireProxy


@pytest.mark.parametrize("limit", [48, 64])
def test_few_open_files(
    library: Library, engine: Engine, wire: WireProxy, inventory: MediaInventory, limit: int
) -> None:
    library.add([2_000] * 60, thumbnails=1)
    inventory.record_files()
    engine.offload["concurrency"] = 256
    outcome = engine.run(before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
    assert (outcome.status, outcome.failures) == (0, {}), outcome.errors
    inventory.assert_all_moved()
