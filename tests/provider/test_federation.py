# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Other servers get media as a part of a larger response, which Synapse writes around what the provider delivers."""

from __future__ import annotations

import email
import email.policy
import json
import random
import subprocess

import pytest
from conftest import BUCKET, NEWEST, MakeHomeserver
from homeserver import Homeserver, media_key
from s3_server import S3Server
from switchable_proxy import RESET, SwitchableProxy

CONTENTS = {
    f"Federated{number:015d}": random.Random(number).randbytes(size)
    for number, size in enumerate((1, 1000, 64 * 1024, 30_000_000))
}
# Runs in Synapse's Python: the header with which this server asks itself, as another one would.
SIGN = """
import sys
from signedjson.key import read_signing_keys
from signedjson.sign import sign_json
with open(sys.argv[1]) as file:
    key = read_signing_keys(file)[0]
name = "provider.test"
request = {"method": "GET", "uri": sys.argv[2], "origin": name, "destination": name}
for identifier, signature in sign_json(request, name, key)["signatures"][name].items():
    print(f'X-Matrix origin="{name}",destination="{name}",key="{identifier}",sig="{signature}"')
"""


@pytest.fixture(scope="module")
def homeserver(make_homeserver: MakeHomeserver, s3: S3Server) -> Homeserver:
    for media_id, content in CONTENTS.items():
        s3.client().put_object(Bucket=BUCKET, Key=media_key(media_id), Body=content)
    made = make_homeserver()
    with made:
        pass
    made.add_rows({media_id: len(content) for media_id, content in CONTENTS.items()})
    made.start()
    return made


def federated(homeserver: Homeserver, media_id: str) -> tuple[int, str, bytes]:
    """The status, the content type and the body of the answer."""
    path = f"/_matrix/federation/v1/media/download/{media_id}"
    key = str(homeserver.directory / "signing.key")
    command = [NEWEST.python, "-c", SIGN, key, path]
    header = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    connection = homeserver.connection()
    try:
        connection.request("GET", path, headers={"Authorization": header})
        answer = connection.getresponse()
        return answer.status, str(answer.getheader("Content-Type")), answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("media_id", CONTENTS, ids=[str(len(content)) for content in CONTENTS.values()])
def test_another_server_gets_the_same_bytes(media_id: str, homeserver: Homeserver) -> None:
    status, kind, body = federated(homeserver, media_id)
    assert status == 200, body[:500]
    message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body, policy=email.policy.HTTP)
    boundary = str(message.get_boundary()).encode()
    about, media, end = body.split(b"\r\n--" + boundary)[1:]
    assert json.loads(about.partition(b"\r\n\r\n")[2]) == {}
    assert media.partition(b"\r\n\r\n")[2] == CONTENTS[media_id]
    assert end == b"--\r\n"


def test_another_server_sees_that_a_download_broke_off(homeserver: Homeserver, network: SwitchableProxy) -> None:
    network.switch(RESET, 5_000_000)
    with pytest.raises(Exception, match=r"IncompleteRead|[Rr]eset"):
        federated(homeserver, list(CONTENTS)[-1])
