# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client for the requests to a homeserver that a round trip needs: upload, download and delete media.

It is not in synapse_media, which runs without Ansible: open_url of Ansible serves TLS options and Unix sockets.
"""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit

from ansible.module_utils.urls import open_url
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_summary import request_address
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import HomeserverError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.boto.round_trip import Uploaded

_UNRECOGNISED = 404
_NOT_AN_ADMIN = 403


class _Refused(HomeserverError):
    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class MediaApi:
    """Sends requests as the user of one access token. Each method raises HomeserverError."""

    def __init__(self, homeserver_url: str, access_token: str, timeout: float, *, validate_certs: bool = True) -> None:
        """`homeserver_url` is a URL, or `unix:` and the path of a Unix socket. `timeout` is in seconds."""
        self._base = homeserver_url.rstrip("/")
        self._validate_certs = validate_certs
        self._root, self._socket = request_address(self._base)
        self._headers = {"Authorization": f"Bearer {access_token}"}
        self._timeout = timeout

    def require_server(self, server_name: str) -> None:
        """Raises HomeserverError if the URL leads to another server, before anything is uploaded to it."""
        answer = self._call("GET", "/_matrix/client/v3/account/whoami")
        try:
            actual = json.loads(answer)["user_id"].split(":", 1)[1]
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise HomeserverError(
                f"{self._base} is not a Matrix server. Set synapse_s3_synapse_url to Synapse."
            ) from error
        if actual != server_name:
            raise HomeserverError(
                f"{self._base} is the server {actual}, not {server_name}. Set synapse_s3_synapse_url to this Synapse."
            )

    def upload(self, body: bytes) -> Uploaded:
        """Uploads a media and returns its address."""
        answer = self._call("POST", "/_matrix/media/v3/upload?filename=synapse-s3-test.bin", body)
        try:
            uri = urlsplit(json.loads(answer)["content_uri"])
        except (ValueError, KeyError, TypeError) as error:
            raise HomeserverError(
                f"{self._base} answered an upload without a content_uri. Set synapse_s3_synapse_url to Synapse."
            ) from error
        return Uploaded(server_name=uri.netloc, media_id=uri.path.lstrip("/"))

    def download(self, media: Uploaded) -> bytes:
        """The content of a media."""
        name = _path(media)
        try:
            return self._call("GET", f"/_matrix/client/v1/media/download/{name}")
        except _Refused as refused:
            if refused.status != _UNRECOGNISED:
                raise
            # Synapse before 1.111 has only the path without authentication.
            return self._call("GET", f"/_matrix/media/v3/download/{name}")

    def delete(self, media: Uploaded) -> bool:
        """Deletes a media; False if the token is not that of an administrator, as only administrators may."""
        try:
            self._call("DELETE", f"/_synapse/admin/v1/media/{_path(media)}")
        except _Refused as refused:
            if refused.status == _NOT_AN_ADMIN:
                return False
            raise
        return True

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {**self._headers, "Content-Type": "application/octet-stream"} if body else self._headers
        try:
            answer = open_url(
                self._root + path,
                method=method,
                data=body,
                headers=headers,
                timeout=self._timeout,
                validate_certs=self._validate_certs,
                unix_socket=self._socket,
                follow_redirects="none",
                use_proxy=False,  # the listener is on this host
                use_netrc=False,  # it would replace the token
            )
            content: bytes = answer.read()
        except HTTPError as error:
            raise _Refused(
                f"{method} {self._base}{path} was refused ({error.code} {_matrix_error(error)}). {_remedy(error.code)}",
                error.code,
            ) from error
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise HomeserverError(
                f"{method} {self._base}{path} got no answer ({reason}). Set synapse_s3_synapse_url to a listener of "
                "Synapse on this host, and read Synapse's log: it may be waiting for an S3 store that does not answer."
            ) from error
        return content


def _path(media: Uploaded) -> str:
    return f"{quote(media.server_name, safe='')}/{quote(media.media_id, safe='')}"


def _matrix_error(error: HTTPError) -> str:
    try:
        answer: dict[str, Any] = json.loads(error.read())
        return f"{answer['errcode']}: {answer['error']}"
    except (ValueError, KeyError, TypeError, OSError):
        return str(error.reason)


def _remedy(status: int) -> str:
    if status in (401, 403):
        return "Set synapse_s3_storage_provider_verify_access_token to a token that is valid on this server."
    if status == 429:
        return "Synapse limits the rate of requests. Run again later."
    if status >= 500:
        return "Read Synapse's log; a wrong bucket or key of the storage provider is a possible cause."
    return "Set synapse_s3_synapse_url to a listener of Synapse that serves its client API."
