# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unfinished uploads of a killed run are aborted by a run a day later; younger ones and those of others stay."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from urllib.parse import unquote

import pytest
from conftest import IN_PARTS, Endpoint, Host, MakeHost
from wire_faults import Pause
from wire_proxy import PART, Act, Exchange, WireProxy

pytestmark = pytest.mark.parametrize("endpoint", ["rgw", "seaweedfs", "juicefs"], indirect=True)
LIST_UPLOADS = "ListMultipartUploads"
PREFIX = "synapse/"
_UPLOAD = re.compile(rb"<Upload>.*?</Upload>", re.DOTALL)


def as_if_begun(days_ago: float, but_for: Collection[str] = ()) -> Act:
    """The test cannot wait a day: the times of uploads in the response are moved back, except for these keys."""
    then = (datetime.now(timezone.utc) - timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def older(found: re.Match[bytes]) -> bytes:
        key = re.search(rb"<Key>(.*?)</Key>", found[0])
        assert key, found[0]
        if unquote(key[1].decode()) in but_for:
            return found[0]
        return re.sub(rb"<Initiated>.*?</Initiated>", b"<Initiated>%s</Initiated>" % then.encode(), found[0])

    def act(exchange: Exchange) -> None:
        answer = exchange.forward()
        answer.body = _UPLOAD.sub(older, answer.body)
        exchange.reply(answer)

    return act


def unfinished(host: Host) -> list[str]:
    return sorted(upload["Key"] for upload in host.client.list_multipart_uploads(Bucket=host.bucket).get("Uploads", []))


def killed_in_an_upload(host: Host, wire: WireProxy) -> str:
    """Return the key of the upload that a killed run leaves on the server."""
    item = host.library.add([IN_PARTS], thumbnails=0)[0]
    host.inventory.record_files()
    pause = Pause(then=Exchange.close)
    wire.add(PART, pause, skip=1)
    process = host.engine.start()
    assert pause.reached.wait(60), "the engine sent no second part"
    process.kill()
    process.communicate(timeout=60)
    pause.go_on.set()
    wire.faults.clear()
    key = f"{PREFIX}{item.original}"
    assert unfinished(host) == [key]
    host.inventory.assert_nothing_lost()
    return key


def test_unfinished_uploads(endpoint: Endpoint, make_host: MakeHost) -> None:
    host = make_host(endpoint, prefix=PREFIX)
    with WireProxy(host.store.endpoint_url) as wire:
        host.engine.s3["endpoint_url"] = wire.endpoint_url
        killed = killed_in_an_upload(host, wire)
        young = f"{PREFIX}local_content/yo/un/gUploadOfAnotherHost"
        not_ours = [f"{PREFIX}backup.tar", "local_content/ab/cd/OutsideThePrefix", f"{PREFIX}local_content/readme"]
        for key in (young, *not_ours):
            host.client.create_multipart_upload(Bucket=host.bucket, Key=key)
        left_alone = sorted([young, *not_ours])

        # A run that may still be active elsewhere is no older than this one's own.
        host.library.add([1000] * 3, thumbnails=0)
        host.inventory.record_files()
        at_once = host.engine.run()
        assert (at_once.status, at_once.failures) == (0, {}), at_once.errors
        assert unfinished(host) == sorted([killed, *left_alone]), "uploads younger than a day were aborted"
        host.inventory.assert_all_moved()

        host.library.add([1000] * 3, thumbnails=0)
        host.inventory.record_files()
        wire.add(LIST_UPLOADS, as_if_begun(2, but_for=[young]))
        wire.seen.clear()
        later = host.engine.run()
        assert (later.status, later.failures) == (0, {}), later.errors
        assert wire.count(LIST_UPLOADS), "the engine did not ask for unfinished uploads"
        assert unfinished(host) == left_alone
        host.inventory.assert_all_moved()
