# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Uploads pictures to a homeserver, and checks later that each of them can still be downloaded.

    media.py upload LIST --count 5 --remote 3 [--age-days 30]
    media.py age LIST --days 30
    media.py check LIST
    media.py count

LIST is a JSON file: `upload` adds the pictures to it (mxc, sha256, size, thumbnails), `check` downloads all of them
again through Synapse and compares. Each command prints JSON. `check` ends with status 1 if anything differs.
`count` prints how many files and bytes are on the disk and in the bucket.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
import sys
import time
import urllib.error
from functools import partial
from pathlib import Path
from typing import Any

from ageing import age
from client import Client, RequestError
from media_counts import in_bucket, on_disk
from pictures import png, thumbnails_of
from remote_media import RemoteMediaCache

SIZES = ((640, 480), (1000, 750), (160, 120), (400, 300), (24, 18))
ORIGINS = ("matrix.example.org", "chat.example.com")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def with_thumbnails(client: Client, media: dict[str, Any], width: int, height: int) -> dict[str, Any]:
    """Request each thumbnail as a client would, and record its digest."""
    media["mxc"] = f"mxc://{media['origin']}/{media['media_id']}"
    media["thumbnails"] = [
        {
            "width": thumbnail[0],
            "height": thumbnail[1],
            "method": thumbnail[2],
            "sha256": sha256(client.thumbnail(media["origin"], media["media_id"], *thumbnail)),
        }
        for thumbnail in thumbnails_of(width, height)
    ]
    return media


def upload(client: Client, facts: dict[str, Any], count: int, remote: int, seed: str) -> list[dict[str, Any]]:
    made = []
    for number in range(count):
        width, height = SIZES[number % len(SIZES)]
        content = png(width, height, f"{seed} local {number}")
        origin, media_id = client.upload(content, "image/png", f"picture-{number}.png")
        media = {"local": True, "origin": origin, "media_id": media_id, "size": len(content), "sha256": sha256(content)}
        made.append(with_thumbnails(client, media, width, height))
    if remote:
        cache = RemoteMediaCache(facts)
        for number in range(remote):
            width, height = SIZES[number % len(SIZES)]
            added = cache.add(ORIGINS[number % len(ORIGINS)], f"{seed} remote {number}", width, height)
            made.append(with_thumbnails(client, {"local": False, **added}, width, height))
    return made


def what_differs(client: Client, media: dict[str, Any]) -> list[str]:
    """Return one line for each content of this media that differs."""
    origin, media_id = media["origin"], media["media_id"]
    wanted = [("content", media["sha256"], partial(client.download, origin, media_id))]
    for thumbnail in media["thumbnails"]:
        size = (thumbnail["width"], thumbnail["height"], thumbnail["method"])
        name = "thumbnail {}x{} {}".format(*size)
        wanted.append((name, thumbnail["sha256"], partial(client.thumbnail, origin, media_id, *size)))
    lines = []
    for name, digest, fetch in wanted:
        try:
            found = sha256(fetch())
        except (RequestError, urllib.error.URLError, TimeoutError) as error:
            lines.append(f"{media['mxc']} {name}: {error}")
            continue
        if found != digest:
            lines.append(f"{media['mxc']} {name}: sha256 {found}, expected {digest}")
    return lines


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=Path, default=Path(__file__).parent / "facts.json")
    parser.add_argument("--user", default="alice")
    parser.add_argument("--timeout", type=float, default=60, help="timeout of one request in seconds")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("upload")
    making.add_argument("--count", type=int, default=5, help="pictures uploaded through the client API")
    making.add_argument("--remote", type=int, default=0, help="pictures from other homeservers")
    making.add_argument("--age-days", type=float, default=0, help="days since their last use")
    making.add_argument("--seed", default=secrets.token_hex(8), help="the same seed makes the same pictures")
    ageing = commands.add_parser("age")
    ageing.add_argument("--days", type=float, required=True)
    checking = commands.add_parser("check")
    commands.add_parser("count")
    for command in (making, ageing, checking):
        command.add_argument("list", type=Path)
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    facts = json.loads(arguments.facts.read_text())
    if arguments.command == "count":
        print(json.dumps({"disk": on_disk(facts), "bucket": in_bucket(facts)}))
        return 0
    client = Client(facts["url"], facts["users"][arguments.user]["access_token"], arguments.timeout)
    listed: list[dict[str, Any]] = json.loads(arguments.list.read_text()) if arguments.list.exists() else []

    if arguments.command == "upload":
        made = upload(client, facts, arguments.count, arguments.remote, arguments.seed)
        arguments.list.write_text(json.dumps(listed + made, indent=2) + "\n")
        if arguments.age_days:
            age(facts, made, arguments.age_days)
        print(json.dumps(made, indent=2))
        return 0
    if not listed:
        sys.exit(f"{arguments.list} lists no media; make some with: media.py upload {arguments.list}")
    if arguments.command == "age":
        age(facts, listed, arguments.days)
        print(json.dumps({"aged": len(listed), "days": arguments.days}))
        return 0
    started = time.monotonic()
    differing = [line for media in listed for line in what_differs(client, media)]
    compared = {"pictures": len(listed), "thumbnails": sum(len(media["thumbnails"]) for media in listed)}
    print(json.dumps({**compared, "differing": differing, "seconds": round(time.monotonic() - started, 1)}, indent=2))
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
