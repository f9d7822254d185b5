"""The services from which a host in AWS gets its role's keys: instance metadata and container credentials."""

from __future__ import annotations

import datetime
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

_ROLE = "/latest/meta-data/iam/security-credentials/"


class MetadataService:
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

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                body = answers.get(self.path, "").encode()
                self.send_response(200 if body else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_PUT = do_GET

            def log_message(self, *arguments: object) -> None:
                """Print no log."""

        # : The requested paths.
        self.asked = asked
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> MetadataService:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
