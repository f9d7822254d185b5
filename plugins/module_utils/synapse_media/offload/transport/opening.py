# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opens connections: name, TCP, a proxy's tunnel, TLS."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from pathlib import Path

from ...errors import ConfigurationError
from ...store import StoreSettings
from .address import Address, Proxy
from .faults import ConnectTimeoutError, EndpointConnectionError, Fault, ProxyConnectionError, SSLError
from .http_answer import BrokenAnswer, parse_head
from .loop import Loop
from .reading import WOULD_BLOCK, Link
from .resolver import Place, Resolver

_TUNNEL_HEAD_LIMIT = 16 * 1024


def tls_context(settings: StoreSettings) -> ssl.SSLContext:
    """Trusts synapse_s3_ca_bundle, or what the environment or the system trusts. Raises ConfigurationError."""
    bundle = settings.ca_bundle or os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or None
    try:
        if bundle is not None and Path(bundle).is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise ConfigurationError(
            f"The certificates of {bundle!r} cannot be read ({error}). "
            "Let synapse_s3_ca_bundle name a PEM file that the media's user may read, or leave it empty."
        ) from error


class Opener:
    """Makes connected sockets, over TLS where the address says so. ``timeout`` in seconds, for each step."""

    def __init__(
        self, loop: Loop, address: Address, proxy: Proxy | None, context: ssl.SSLContext | None, timeout: float
    ) -> None:
        self._loop = loop
        self._address = address
        self._proxy = proxy
        self._context = context
        self._timeout = timeout
        target = proxy or address
        self._resolver = Resolver(loop, target.host, target.port)

    async def open(self) -> Link:
        """Raises Faults, and ssl.SSLError where the certificate is refused or no TLS is spoken."""
        link = await self._connect()
        if self._context is None:
            return link
        try:
            if self._proxy is not None:
                await self._tunnel(link, self._proxy)
            # The descriptor stays the same, and so the loop goes on watching it.
            wrapped = self._context.wrap_socket(
                link.socket, server_hostname=self._address.host, do_handshake_on_connect=False
            )
            link = Link(wrapped, link.channel)
            await self._handshake(link, wrapped)
        except BaseException:
            self._drop(link)
            raise
        return link

    async def _connect(self) -> Link:
        trouble: Fault = EndpointConnectionError("it has no address")
        for place in await self._places():
            try:
                return await self._connect_to(place)
            except TimeoutError:
                trouble = ConnectTimeoutError()
            except OSError as error:
                trouble = EndpointConnectionError(error.strerror.lower() if error.strerror else str(error))
        raise ProxyConnectionError(str(trouble)) if self._proxy else trouble

    async def _places(self) -> list[Place]:
        try:
            return await self._resolver.places()
        except EndpointConnectionError as error:
            if self._proxy:
                raise ProxyConnectionError(str(error)) from error
            raise

    async def _connect_to(self, place: Place) -> Link:
        plain = socket.socket(place.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            error = plain.connect_ex(place.address)
        except BaseException:
            plain.close()
            raise
        # Watched from here on only: a socket that has not begun to connect counts as hung up.
        link = Link(plain, self._loop.watch(plain.fileno()))
        try:
            if error == errno.EINPROGRESS:
                await self._loop.wait(link.channel, self._timeout)
                error = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except BaseException:
            self._drop(link)
            raise
        if error:
            self._drop(link)
            raise OSError(error, os.strerror(error))
        return link

    async def _handshake(self, link: Link, wrapped: ssl.SSLSocket) -> None:
        while True:
            try:
                wrapped.do_handshake()
            except WOULD_BLOCK:
                await self._progress(link)
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError) as error:
                raise EndpointConnectionError(f"the TLS handshake was broken off: {error}") from error
            except ssl.SSLCertVerificationError:
                raise
            except ssl.SSLError as error:
                if error.reason == "WRONG_VERSION_NUMBER":
                    raise
                raise SSLError(str(error)) from error
            else:
                return

    async def _tunnel(self, link: Link, proxy: Proxy) -> None:
        target = f"{self._address.host}:{self._address.port}"
        authorization = f"proxy-authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
        # So short that a fresh socket takes it at once.
        link.socket.send(f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n{authorization}\r\n".encode("latin-1"))
        data = b""
        # TLS has the client speak first, so nothing of it can follow the proxy's head.
        while not data.endswith(b"\r\n\r\n"):
            try:
                piece = link.socket.recv(_TUNNEL_HEAD_LIMIT)
            except BlockingIOError:
                await self._progress(link)
                continue
            except OSError as error:
                raise ProxyConnectionError(str(error)) from error
            data += piece
            if not piece or len(data) > _TUNNEL_HEAD_LIMIT:
                raise ProxyConnectionError("the proxy answered nothing that can be understood")
        try:
            status = parse_head(data[:-4])[0]
        except BrokenAnswer as error:
            raise ProxyConnectionError("the proxy does not speak HTTP") from error
        if not 200 <= status < 300:
            raise ProxyConnectionError(f"the proxy answered {status}")

    async def _progress(self, link: Link) -> None:
        try:
            await self._loop.wait(link.channel, self._timeout)
        except TimeoutError as error:
            raise ConnectTimeoutError from error

    def _drop(self, link: Link) -> None:
        self._loop.unwatch(link.channel)
        link.socket.close()
