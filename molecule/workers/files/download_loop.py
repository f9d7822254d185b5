#!/usr/bin/env python
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Downloads the pictures of a list again and again until it is told to stop, and writes what came of it as JSON.

Usage: download_loop.py LIST RESULT; SIGTERM ends it. `cut`: downloads whose connection was closed in the middle of the
content, and which were complete when they were asked for once more, as a browser does.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import signal
import sys
import time
import urllib.error
from pathlib import Path
from types import FrameType

sys.path.insert(0, "/opt/test-tools/homeserver")

from client import Client, RequestError

PAUSE = 0.02  # seconds between two downloads
stopped = False


def stop(number: int, frame: FrameType | None) -> None:
    global stopped
    stopped = True


def download(client: Client, origin: str, media_id: str, digest: str) -> str | None:
    """What is wrong with the download; None if nothing is, and "cut" if its content was not complete."""
    try:
        content = client.download(origin, media_id)
    except http.client.IncompleteRead:
        return "cut"
    except (RequestError, urllib.error.URLError, OSError, http.client.HTTPException) as error:
        return repr(error)
    return None if hashlib.sha256(content).hexdigest() == digest else "another content"


def main() -> None:
    pictures, result = (Path(argument) for argument in sys.argv[1:])
    facts = json.loads(Path("/opt/test-tools/homeserver/facts.json").read_text())
    client = Client(facts["url"], facts["users"]["alice"]["access_token"], 30)
    signal.signal(signal.SIGTERM, stop)
    listed = json.loads(pictures.read_text())
    done, cut, failed = 0, 0, []
    while not stopped:
        media = listed[done % len(listed)]
        wanted = (media["origin"], media["media_id"], media["sha256"])
        problem = download(client, *wanted)
        if problem == "cut":
            cut += 1
            problem = download(client, *wanted)
        if problem:
            failed.append([time.time(), media["media_id"], problem])
        done += 1
        result.write_text(json.dumps({"downloads": done, "cut": cut, "failed": failed}))
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
