# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""All faults at once, chosen by a seeded random generator: nothing is lost, and the report is correct."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from library import MIB, Library
from media_inventory import MediaInventory
from offload_engine import Engine
from s3_server import S3Server
from test_kill import KILLS, SEED
from wire_faults import (
    answer_nonsense,
    changed,
    close_before_answer,
    entries_changed,
    keep_half,
    keep_nothing,
    refuse,
    reset_at_once,
    reset_before_answer,
    reset_in_answer,
    reset_in_request,
    stall,
    with_etags,
)
from wire_proxy import LIST, PUT, Act, Exchange, WireProxy

# In proportion to the number of kills, so that a longer run has more rounds.
ROUNDS = max(2, KILLS // 10)
RUNS = 6


def _misfortunes(s3: S3Server, bucket: str, dice: random.Random) -> Callable[[Exchange], Act]:
    anywhere: list[Act] = [
        refuse(500, "InternalError"),
        refuse(503, "SlowDown"),
        refuse(502),
        reset_at_once,
        reset_in_request,
        reset_before_answer,
        reset_in_answer,
        close_before_answer,
        answer_nonsense,
        stall(0.3),
    ]
    listings: list[Act] = [
        changed(lambda body: body[: len(body) * 2 // 3]),
        entries_changed(lambda entries: [entry for entry in entries if dice.random() < 0.8]),
        entries_changed(lambda entries: [entry for entry in entries for dummy in range(dice.choice((1, 1, 2)))]),
        entries_changed(lambda entries: dice.sample(entries, len(entries))),
        with_etags(lambda own: own[::-1]),
    ]
    puts: list[Act] = [keep(etag) for etag in (None, "0" * 32, "") for keep in (keep_nothing, _half(s3, bucket))]

    def choose(exchange: Exchange) -> Act:
        return dice.choice(anywhere + {LIST: listings, PUT: puts}.get(exchange.operation, []))

    return choose


def _half(s3: S3Server, bucket: str) -> Callable[[str | None], Act]:
    client = s3.client()
    return lambda etag: keep_half(client, bucket, etag)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_random_faults(number: int, make_library: Callable[[str], Library], s3: S3Server, bucket: str) -> None:
    dice = random.Random(f"{SEED}/chaos/{number}")
    print(f"FAULT_SEED={SEED}, round {number}")
    library = make_library(("sqlite", "postgresql")[number % 2])
    choose = _misfortunes(s3, bucket, dice)
    chance = dice.choice((0.05, 0.15, 0.3))

    def roll(exchange: Exchange) -> None:
        if dice.random() < chance:
            choose(exchange)(exchange)
        else:
            exchange.reply(exchange.forward())

    with WireProxy(s3.endpoint_url) as wire:
        wire.add("", roll)
        engine = Engine(library, {**s3.connection(bucket), "endpoint_url": wire.endpoint_url})
        inventory = MediaInventory(library.media_path, s3.buckets / bucket)
        for dummy in range(RUNS):
            for item in library.add([dice.choice((1, 700, 19_000, 1_100_000)) for dummy in range(15)], thumbnails=1):
                # As Synapse has it: else nothing proves that half of a thumbnail in the bucket is the damaged copy.
                library.add_thumbnail_row(item, (library.media_path / item.paths[1]).stat().st_size)
            library.add([17 * MIB], origin="remote.example", thumbnails=0)
            inventory.record_files()
            inventory.assert_reported(engine.run())
        wire.faults.clear()
        assert engine.run().status == 0
    inventory.assert_all_moved()
