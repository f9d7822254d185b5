# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module of Synapse that deletes a media from the storage providers, as a later release of Synapse will."""

from __future__ import annotations

from typing import Any

from synapse.http.server import DirectServeJsonResource
from synapse.media._base import FileInfo


class DeleteFromProviders(DirectServeJsonResource):  # type: ignore[misc]
    def __init__(self, config: Any, api: Any) -> None:
        self._homeserver = api._hs
        super().__init__(clock=self._homeserver.get_clock())
        api.register_web_resource("/_test/delete", self)

    @staticmethod
    def parse_config(config: Any) -> Any:
        return config

    async def _async_render_POST(self, request: Any) -> tuple[int, dict[str, Any]]:
        media_id = request.args[b"media_id"][0].decode()
        storage = self._homeserver.get_media_repository().media_storage
        file_info = FileInfo(server_name=None, file_id=media_id)
        path = storage.filepaths.local_media_filepath_rel(media_id)
        for provider in storage.storage_providers:
            await provider.backend.delete(path, file_info)
        return 200, {}
