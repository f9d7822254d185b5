# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run against a server that sends nothing for a minute, started beside all other tests because it takes so long."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from homeserver_database import SqliteDatabase
from library import Library
from media_host import shared_directory
from media_inventory import MediaInventory
from offload_engine import Engine
from s3_server import S3Server
from wire_faults import stall
from wire_proxy import PUT, Fault, WireProxy

# Longer than any client should wait for a response.
SILENCE = 100.0
_BUCKET = "stalled"


@dataclass
class Stalled:
    process: subprocess.Popen[str]
    inventory: MediaInventory
    fault: Fault


@contextmanager
def stalled_run(s3: S3Server) -> Iterator[Stalled]:
    s3.make_bucket(_BUCKET)
    with shared_directory() as directory, WireProxy(s3.endpoint_url) as wire:
        database = SqliteDatabase(directory / "homeserver.db")
        library = Library(directory, database, _BUCKET)
        library.own(database.path)
        library.add([1000] * 4, thumbnails=0)
        inventory = MediaInventory(library.media_path, s3.buckets / _BUCKET)
        inventory.record_files()
        fault = wire.add(PUT, stall(SILENCE), times=1)
        process = Engine(library, {**s3.connection(_BUCKET), "endpoint_url": wire.endpoint_url}).start()
        try:
            yield Stalled(process, inventory, fault)
        finally:
            process.kill()
            process.communicate()
