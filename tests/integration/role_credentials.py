# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The services from which a host in AWS gets its role's keys: instance metadata and container credentials."""

from __future__ import annotations

import datetime
import json

from http_server import Handler, LocalServer

_ROLE = "/latest/meta-data/iam/security-credentials/"


class MetadataService(LocalServer):
    """Both services on one loopback port, with the keys of an S3 server."""

    def __init__(self, access_key_id: str, secret_access_key: str) -> None:
        expiration = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=6)
        keys = json.dumps(
            {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "AccessKeyId": access_key_id,
                "SecretAccessKey": secret_access_key,
                "Token": "token-of-the-role",
                "Expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
        answers = {"/latest/api/token": "token", _ROLE: "media", f"{_ROLE}media": keys, "/container": keys}
        asked: list[str] = []

        class Service(Handler):
            def do_GET(self) -> None:
                asked.append(self.path)
                body = answers.get(self.path, "").encode()
                self.reply(200 if body else 404, {}, body)

            do_PUT = do_GET

        # : The requested paths.
        self.asked = asked
        super().__init__(Service)
        self.url = self.endpoint_url
