# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults between the engine and an S3 server, each as an act for a Fault of wire_proxy.py."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from fault_proxy import Response
from wire_proxy import Act, Exchange

Change = Callable[[bytes], bytes]


def refuse(status: int, code: str = "") -> Act:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>" if code else ""

    def act(exchange: Exchange) -> None:
        exchange.body()
        exchange.reply(Response(status, {"Content-Type": "application/xml"}, body.encode()))

    return act


def reset_at_once(exchange: Exchange) -> None:
    exchange.reset()


def reset_in_request(exchange: Exchange) -> None:
    exchange.read_only(exchange.length // 2)
    exchange.reset()


def reset_in_answer(exchange: Exchange) -> None:
    """Reset after the server has processed the request, which the engine cannot know."""
    answer = exchange.forward()
    exchange.reply(answer, only=len(answer.body) // 2)


def reset_before_answer(exchange: Exchange) -> None:
    exchange.forward()
    exchange.reset()


def close_before_answer(exchange: Exchange) -> None:
    exchange.forward()
    exchange.close()


def answer_nonsense(exchange: Exchange) -> None:
    exchange.body()
    exchange.reply(Response(200, {"Content-Type": "text/html"}, b"<html><body>It works!</body></html>"))


def changed(change: Change) -> Act:
    def act(exchange: Exchange) -> None:
        answer = exchange.forward()
        answer.body = change(answer.body)
        exchange.reply(answer)

    return act


def stall(seconds: float, *, before: bool = True) -> Act:
    """Send nothing for this long, then continue normally."""

    def act(exchange: Exchange) -> None:
        if before:
            time.sleep(seconds)
            exchange.reply(exchange.forward())
            return
        answer = exchange.forward()
        time.sleep(seconds)
        exchange.reply(answer)

    return act


class Pause:
    """Holds one request, before it reaches the server, until it is released."""

    def __init__(self, then: Act | None = None) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self._then = then

    def __call__(self, exchange: Exchange) -> None:
        exchange.body()
        self.reached.set()
        self.go_on.wait(60)
        if self._then:
            self._then(exchange)
        else:
            exchange.reply(exchange.forward())


class HoldResponse(Pause):
    """Holds the response to one request, which the server has carried out, until it is released."""

    def __call__(self, exchange: Exchange) -> None:
        response = exchange.forward()
        self.reached.set()
        self.go_on.wait(60)
        exchange.reply(response)


def meanwhile(do: Callable[[], None]) -> Act:
    """Do something on the host while a request is in flight."""

    def act(exchange: Exchange) -> None:
        exchange.body()
        do()
        exchange.reply(exchange.forward())

    return act


# Listings --------------------------------------------------------------------------------------------------------

_ENTRY = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)


def entries_changed(change: Callable[[list[bytes]], list[bytes]]) -> Act:
    """The entries of a listing, as the XML of each, in the order of the response."""

    def rewrite(body: bytes) -> bytes:
        entries = _ENTRY.findall(body)
        if not entries:
            return body
        start = body.index(entries[0])
        end = body.index(entries[-1]) + len(entries[-1])
        return body[:start] + b"".join(change(entries)) + body[end:]

    return changed(rewrite)


def with_etags(etag: Callable[[str], str]) -> Act:
    """Another ETag wherever the server gives one; the function receives the server's own."""

    def rewrite(found: re.Match[bytes]) -> bytes:
        own = found[1].decode().replace("&quot;", "").replace("&#34;", "").strip('"')
        return b'<ETag>"' + etag(own).encode() + b'"</ETag>'

    def act(exchange: Exchange) -> None:
        answer = exchange.forward()
        answer.body = re.sub(rb"<ETag>([^<]*)</ETag>", rewrite, answer.body)
        answer.headers = {
            name: f'"{etag(value.strip(chr(34)))}"' if name.lower() == "etag" else value
            for name, value in answer.headers.items()
        }
        exchange.reply(answer)

    return act


def no_etags(exchange: Exchange) -> None:
    answer = exchange.forward()
    answer.body = re.sub(rb"<ETag>[^<]*</ETag>", b"", answer.body)
    answer.headers = {name: value for name, value in answer.headers.items() if name.lower() != "etag"}
    exchange.reply(answer)


# Servers that lie -------------------------------------------------------------------------------------------------


def keep_nothing(etag: str | None) -> Act:
    """Respond 200 to a PUT without storing it; `etag` None for the correct one, "" for none."""

    def act(exchange: Exchange) -> None:
        exchange.reply(_accepted(exchange.body(), etag))

    return act


def keep_half(client: Any, bucket: str, etag: str | None) -> Act:
    """Respond 200 to a PUT of which only the first half is stored; the client writes to the server directly."""

    def act(exchange: Exchange) -> None:
        body = exchange.body()
        client.put_object(Bucket=bucket, Key=exchange.key, Body=body[: len(body) // 2])
        exchange.reply(_accepted(body, etag))

    return act


def _accepted(body: bytes, etag: str | None) -> Response:
    given = hashlib.md5(body).hexdigest() if etag is None else etag
    return Response(200, {"ETag": f'"{given}"'} if given else {}, b"")
