# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""moto as an S3 server with users and policies: it checks signature and permissions of each request, as AWS does."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from s3_server import BOTO_SESSION, free_port
from server_process import ServerProcess

REGION = "us-east-1"


class IamStore:
    """Set everything up first; after enforce() the policies apply to every request."""

    def __init__(self, directory: Path) -> None:
        self._port = free_port()
        self.endpoint_url = f"http://127.0.0.1:{self._port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]
        self._process = ServerProcess(command, directory / "moto.log")

    def __enter__(self) -> IamStore:
        try:
            self._process.start()
            self._process.wait_for_port(self._port)
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.stop()

    def client(self, service: str = "s3") -> Any:
        """An administrator's client; it works until enforce() and again after relax()."""
        return BOTO_SESSION.client(
            service,
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id="administrator",
            aws_secret_access_key="administrator",
        )

    def make_user(self, name: str, permissions: Sequence[tuple[str, str]]) -> dict[str, str]:
        """Return the key of a new user who is allowed these pairs of action and resource."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        statements = [{"Effect": "Allow", "Action": action, "Resource": where} for action, where in permissions]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=name, PolicyName="policy", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}

    def enforce(self) -> None:
        self._requests_without_policies(0)

    def relax(self) -> None:
        self._requests_without_policies(1_000_000)

    def _requests_without_policies(self, count: int) -> None:
        url = f"{self.endpoint_url}/moto-api/reset-auth"
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(url, data=str(count).encode(), headers=headers, method="POST")
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 200

    def connection(self, bucket: str, **others: Any) -> dict[str, Any]:
        return {"bucket": bucket, "endpoint_url": self.endpoint_url, "region_name": REGION, **others}
