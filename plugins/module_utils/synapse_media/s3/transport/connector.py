# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opens connections: resolve the name, TCP to several addresses in parallel (RFC 8305), a proxy's tunnel, TLS."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Sequence
from typing import NamedTuple

from ...event_loop.loop import Loop, Task, suspend
from ...version import USER_AGENT
from .errors import ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError, RetryableError, SSLError
from .limits import NoDescriptorLeft
from .resolver import Resolver, SocketAddress
from .response import WOULD_BLOCK, BrokenResponse, Link, parse_head

# Seconds after which the next address is tried, in parallel to those that have not responded.
ATTEMPT_DELAY = 0.25
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


class Connected(NamedTuple):
    """The first address that was connected."""

    link: Link
    family: int


class ParallelConnect:
    """Makes one connection. ``timeout`` is in seconds, for each address."""

    def __init__(self, loop: Loop, addresses: Sequence[SocketAddress], timeout: float) -> None:
        self._loop = loop
        self._waiting = list(reversed(addresses))
        self._timeout = timeout
        self._in_progress: list[Link] = []
        self._running = 0
        self._runner: Task[None] | None = None
        self._connected: Connected | None = None
        self._error: OSError | None = None
        self._over = False

    async def run(self) -> Connected:
        """Raises the error of the last address, TimeoutError included, or NoDescriptorLeft."""
        try:
            while self._connected is None and (self._waiting or self._running):
                if self._waiting:
                    self._running += 1
                    self._loop.start(self._try(self._waiting.pop()))
                    if self._waiting:
                        self._loop.start(self._start_next_later(len(self._waiting)))
                self._runner = self._loop.current
                await suspend()
        except BaseException:
            if self._connected is not None:
                drop(self._loop, self._connected.link)
            raise
        finally:
            self._over = True
            for link in self._in_progress:
                self._loop.end_wait(link.channel)
        if self._connected is None:
            if self._error is not None and self._error.errno in _NO_DESCRIPTOR:
                raise NoDescriptorLeft from self._error
            raise self._error or OSError(errno.EADDRNOTAVAIL, "it has no address")
        return self._connected

    def _wake(self) -> None:
        # Exactly once for each time it is suspended.
        runner, self._runner = self._runner, None
        if runner is not None:
            self._loop.resume(runner)

    async def _start_next_later(self, waiting: int) -> None:
        await self._loop.sleep(ATTEMPT_DELAY)
        if not self._over and len(self._waiting) == waiting:
            self._wake()

    async def _try(self, address: SocketAddress) -> None:
        try:
            link = await self._connect(address)
        except OSError as error:
            # An attempt that was stopped has no error to report.
            if not self._over:
                self._error = error
        else:
            if self._over or self._connected is not None:
                drop(self._loop, link)
            else:
                self._connected = Connected(link, address.family)
        finally:
            self._running -= 1
        self._wake()

    async def _connect(self, address: SocketAddress) -> Link:
        plain = socket.socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            error = plain.connect_ex(address.address)
        except BaseException:
            plain.close()
            raise
        # Watched only from here on: before connect() the system reports a socket as closed by the peer.
        link = Link(plain, self._loop.watch(plain.fileno()))
        self._in_progress.append(link)
        try:
            if error == errno.EINPROGRESS:
                await self._loop.wait(link.channel, self._timeout)
                error = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except BaseException:
            drop(self._loop, link)
            raise
        finally:
            self._in_progress.remove(link)
        if error:
            drop(self._loop, link)
            raise OSError(error, os.strerror(error))
        return link


def drop(loop: Loop, link: Link) -> None:
    """Closes a connection that is not used."""
    loop.unwatch(link.channel)
    link.socket.close()


_TUNNEL_HEAD_LIMIT = 16 * 1024
# Tunnel and handshake together may last this many timeouts.
_STEPS = 3


class Proxy(NamedTuple):
    """``authorization`` is the value of Proxy-Authorization, or empty."""

    host: str
    port: int
    authorization: str


class Connector:
    """Makes connected sockets, over TLS if there is a `context`. ``timeout`` in seconds, for each step."""

    def __init__(
        self, loop: Loop, host: str, port: int, proxy: Proxy | None, context: ssl.SSLContext | None, timeout: float
    ) -> None:
        self._loop = loop
        self._host = host
        self._port = port
        self._proxy = proxy
        self._context = context
        self._timeout = timeout
        self._resolver = Resolver(loop, proxy.host if proxy else host, proxy.port if proxy else port)

    async def open(self) -> Link:
        """Raises RetryableError, NoDescriptorLeft, or ssl.SSLError if the certificate is refused or there is no TLS."""
        link = await self._connect()
        if self._context is None:
            return link
        link.channel.limit = self._loop.now + _STEPS * self._timeout
        try:
            if self._proxy is not None:
                await self._tunnel(link, self._proxy)
            # The descriptor stays the same, so the loop continues to watch it.
            wrapped = self._context.wrap_socket(link.socket, server_hostname=self._host, do_handshake_on_connect=False)
            link = Link(wrapped, link.channel)
            await self._handshake(link, wrapped)
        except BaseException:
            drop(self._loop, link)
            raise
        return link

    async def _connect(self) -> Link:
        try:
            connected = await ParallelConnect(self._loop, await self._addresses(), self._timeout).run()
        except TimeoutError:
            failure: RetryableError = ConnectTimeoutError()
        except OSError as error:
            failure = EndpointConnectionError(error.strerror.lower() if error.strerror else str(error))
        else:
            self._resolver.prefer(connected.family)
            return connected.link
        raise ProxyConnectionError(str(failure)) if self._proxy else failure

    async def _addresses(self) -> list[SocketAddress]:
        try:
            return await self._resolver.addresses()
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
                raise EndpointConnectionError(f"the TLS handshake failed: {error}") from error
            except ssl.SSLCertVerificationError:
                raise
            except ssl.SSLError as error:
                if error.reason == "WRONG_VERSION_NUMBER":
                    raise
                raise SSLError(str(error)) from error
            else:
                return

    async def _tunnel(self, link: Link, proxy: Proxy) -> None:
        target = f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"
        authorization = f"proxy-authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
        head = f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\nuser-agent: {USER_AGENT}\r\n"
        # So short that a new socket accepts it at once.
        link.socket.send(f"{head}{authorization}\r\n".encode("latin-1"))
        data = b""
        # In TLS the client sends first, so nothing follows the proxy's head.
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
                raise ProxyConnectionError("the response of the proxy is not HTTP")
        try:
            status = parse_head(data[:-4])[0]
        except BrokenResponse as error:
            raise ProxyConnectionError("the response of the proxy is not HTTP") from error
        if not 200 <= status < 300:
            raise ProxyConnectionError(f"the proxy responded with {status}")

    async def _progress(self, link: Link) -> None:
        try:
            await self._loop.wait(link.channel, self._timeout)
        except TimeoutError as error:
            raise ConnectTimeoutError from error
