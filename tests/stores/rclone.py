# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rclone server of the other tests, as one of these servers. It accepts a customer key and stores unencrypted."""

from __future__ import annotations

from s3_server import S3Server
from store import Store


class Rclone(Store):
    def start(self) -> None:
        self._server = S3Server(self.directory)
        self.port = self._server.port
        self.access_key_id = self._server.access_key_id
        self.secret_access_key = self._server.secret_access_key
        self._server.start()

    def stop(self) -> None:
        self._server.stop()
