# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many downloads from a homeserver at once, and its health meanwhile."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from homeserver import Homeserver


@dataclass
class Ended:
    """How a download ended: its status (None where the connection broke), and the seconds it took."""

    status: int | None
    seconds: float
    content: bytes = b""
    complete: bool = False


def download(homeserver: Homeserver, media_id: str) -> Ended:
    began = time.monotonic()
    status, content, complete = None, b"", False
    connection = homeserver.connection()
    try:
        connection.request("GET", homeserver.media_path(media_id))
        answer = connection.getresponse()
        status = answer.status
        content = answer.read()
        complete = True
    except http.client.IncompleteRead as error:
        content = error.partial
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    return Ended(status, time.monotonic() - began, content, complete)


def download_at_once(homeserver: Homeserver, media_ids: Sequence[str]) -> tuple[list[Ended], float]:
    """Also the longest that /health took meanwhile, in seconds."""
    over = threading.Event()
    slowest = [0.0]

    def watch() -> None:
        while not over.is_set():
            took = homeserver.health()
            slowest[0] = max(slowest[0], 99.0 if took is None else took)
            over.wait(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(len(media_ids)) as pool:
            ended = list(pool.map(lambda media_id: download(homeserver, media_id), media_ids))
    finally:
        over.set()
        watcher.join()
    return ended, slowest[0]
