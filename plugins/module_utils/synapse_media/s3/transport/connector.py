# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opens connections: name, TCP, a proxy's tunnel, TLS."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from ...errors import ConfigurationError
from ...event_loop.loop import Loop
from ...settings.store import StoreSettings
from ...version import USER_AGENT
from ..address import Address, Proxy
from .errors import ConnectTimeoutError, EndpointConnectionError, Fault, ProxyConnectionError, SSLError
from .parallel_connect import ParallelConnect, drop
from .reader import WOULD_BLOCK, Link
from .resolver import Place, Resolver
from .response import BrokenAnswer, parse_head

_TUNNEL_HEAD_LIMIT = 16 * 1024
# Of the tunnel and the handshake together, in which each step may last as long as the timeout.
_STEPS = 3


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
        """Raises Faults, NoDescriptorLeft, and ssl.SSLError where the certificate is refused or no TLS is spoken."""
        link = await self._connect()
        if self._context is None:
            return link
        link.channel.limit = self._loop.now + _STEPS * self._timeout
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
            drop(self._loop, link)
            raise
        return link

    async def _connect(self) -> Link:
        try:
            connected = await ParallelConnect(self._loop, await self._places(), self._timeout).run()
        except TimeoutError:
            trouble: Fault = ConnectTimeoutError()
        except OSError as error:
            trouble = EndpointConnectionError(error.strerror.lower() if error.strerror else str(error))
        else:
            self._resolver.prefer(connected.family)
            return connected.link
        raise ProxyConnectionError(str(trouble)) if self._proxy else trouble

    async def _places(self) -> list[Place]:
        try:
            return await self._resolver.places()
        except EndpointConnectionError as error:
            if self._proxy:
                raise ProxyConnectionError(str(error)) from error
            raise

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
        host = self._address.host
        target = f"[{host}]:{self._address.port}" if ":" in host else f"{host}:{self._address.port}"
        authorization = f"proxy-authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
        head = f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\nuser-agent: {USER_AGENT}\r\n"
        # So short that a fresh socket takes it at once.
        link.socket.send(f"{head}{authorization}\r\n".encode("latin-1"))
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
