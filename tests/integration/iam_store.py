"""moto as an S3 server with users and policies: it checks the signature and permissions of each request, as AWS does.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import boto3
from s3_server import free_port

START_TIMEOUT = 60.0
REGION = "us-east-1"


class IamStore:
    """Set everything up first; after enforce() the policies apply to every request."""

    def __init__(self, directory: Path) -> None:
        self.endpoint_url = f"http://127.0.0.1:{free_port()}"
        self._log = directory / "moto.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> IamStore:
        port = int(self.endpoint_url.rsplit(":", 1)[1])
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            assert self._process.poll() is None, f"moto ended at once:\n{self._log.read_text()}"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return self
            time.sleep(0.1)
        raise AssertionError(f"moto does not listen:\n{self._log.read_text()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(20)

    def client(self, service: str = "s3") -> Any:
        """An administrator's client; it works until enforce() and again after relax()."""
        return boto3.session.Session().client(
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
