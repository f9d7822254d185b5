# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The provider: upstream's backend with bounded downloads, a circuit breaker, retries, deletion and metrics."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from jsonschema import ValidationError
from s3_storage_provider import Responder, S3StorageProviderBackend
from synapse.logging.context import make_deferred_yieldable
from twisted.internet import defer, threads

from .body import Body
from .circuit import Circuit
from .clients import Clients
from .download import FIRST_CHUNK, Download
from .errors import CircuitOpen, FetchTimeout, NoThread, Problem, is_missing, problem_of
from .metrics import DELETES, ERRORS, FETCHED_BYTES, FETCHES, SECONDS, STORES
from .pool import DownloadPool
from .retries import Retries
from .settings import Settings, SettingsError, read_settings

logger = logging.getLogger("synapse.s3")


class ResilientS3StorageProviderBackend(S3StorageProviderBackend):  # type: ignore[misc]
    """Keys and settings are those of upstream's provider, so that either may follow the other."""

    def __init__(self, hs: Any, config: dict[str, Any]) -> None:
        # It makes the threads for uploads; its own client is never made.
        super().__init__(hs, config)
        # Which of these it sets depends on its release.
        self.prefix = config["prefix"]
        self.extra_args = config["extra_args"]
        self._settings: Settings = config["settings"]
        self._secrets = self._settings.secrets()
        self._reactor = hs.get_reactor()
        self._clients = Clients(self._settings)
        self._upload_pool = self._s3_pool
        # Of their own, so that slow uploads do not hold up downloads.
        self._download_pool = DownloadPool(self._settings.threadpool_size)
        self._download_pool.start()
        self._reactor.addSystemEventTrigger("during", "shutdown", self._stop_downloads)
        failures, seconds = self._settings.circuit_failures, self._settings.circuit_seconds
        self._fetch_circuit = Circuit("fetch", failures, seconds)
        self._store_circuit = Circuit("store", failures, seconds)
        self._retries = Retries(self._reactor, self._settings, self._store_once)
        self._synchronous = _is_synchronous(hs, config)

    def __str__(self) -> str:
        return f"ResilientS3StorageProviderBackend[{self.bucket}]"

    @staticmethod
    def parse_config(config: Mapping[str, Any]) -> dict[str, Any]:
        """See upstream's. Raises an error that stops Synapse and names what is wrong."""
        try:
            settings = read_settings(config)
        except SettingsError as error:
            # Of any other error `python -m synapse.config` does not show the text.
            raise ValidationError(f"S3 storage provider: {error}") from None
        found: dict[str, Any] = {
            "bucket": settings.bucket,
            "prefix": settings.prefix,
            # Of releases before 1.2.
            "storage_class": settings.storage_class,
            "extra_args": {"StorageClass": settings.storage_class, **settings.sse_arguments()},
            "threadpool_size": settings.threadpool_size,
            "settings": settings,
        }
        return found

    async def fetch(self, path: str, file_info: Any) -> Responder | None:  # noqa: ARG002 - of Synapse
        """See StorageProvider. None where the object is missing; SynapseError where S3 did not deliver in time."""
        if self._fetch_circuit.refuses():
            FETCHES.labels("circuit_open").inc()
            raise self._problem("fetch", path, CircuitOpen("not asked, because S3 failed repeatedly")).for_client()
        opening = _Opening(self, self.prefix + path)
        return await make_deferred_yieldable(opening.start())

    async def store_file(self, path: str, file_info: Any) -> None:  # noqa: ARG002 - of Synapse
        """See StorageProvider. A copy that nobody waits for is tried again where it fails."""
        try:
            await make_deferred_yieldable(self._store_once(path))
        except Exception as error:
            problem = self._problem("store", path, error)
            if not self._synchronous and problem.reason != "no_file" and self._retries.take(path):
                return
            STORES.labels("failed").inc()
            raise problem.for_client() from None

    async def delete(self, path: str, file_info: Any) -> None:  # noqa: ARG002 - of Synapse
        """Delete the object. Releases of Synapse that delete from storage providers call this, others never do."""
        began = time.monotonic()
        try:
            await make_deferred_yieldable(
                threads.deferToThreadPool(self._reactor, self._upload_pool, self._delete, self.prefix + path)
            )
        except Exception as error:
            DELETES.labels("failed").inc()
            raise self._problem("delete", path, error).for_client() from None
        DELETES.labels("deleted").inc()
        SECONDS.labels("delete").observe(time.monotonic() - began)

    def _stop_downloads(self) -> None:
        Download.stopping = True
        self._download_pool.stop()

    def _delete(self, key: str) -> None:
        self._clients.for_downloads().delete_object(Bucket=self.bucket, Key=key)

    def _store_once(self, path: str) -> defer.Deferred[None]:
        if self._store_circuit.refuses():
            STORES.labels("circuit_open").inc()
            return defer.fail(CircuitOpen("not asked, because S3 failed repeatedly"))
        began = time.monotonic()
        stored: defer.Deferred[None] = threads.deferToThreadPool(self._reactor, self._upload_pool, self._upload, path)

        def succeeded(_result: None) -> None:
            self._store_circuit.succeeded()
            STORES.labels("stored").inc()
            SECONDS.labels("store").observe(time.monotonic() - began)

        def failed(failure: Any) -> Any:
            self._tell(self._store_circuit, path, problem_of(failure.value, self._secrets))
            return failure

        return stored.addCallbacks(succeeded, failed)

    def _upload(self, path: str) -> None:
        self._clients.for_uploads().upload_file(
            Filename=os.path.join(self.cache_directory, path),  # noqa: PTH118 - as upstream, for boto3
            Bucket=self.bucket,
            Key=self.prefix + path,
            ExtraArgs=self.extra_args,
        )

    def _tell(self, circuit: Circuit, key: str, problem: Problem) -> None:
        if problem.away:
            circuit.failed(key)
        elif problem.is_of_the_store:
            circuit.succeeded()

    def _problem(self, operation: str, path: str, error: BaseException) -> Problem:
        problem = problem_of(error, self._secrets)
        ERRORS.labels(operation, problem.reason).inc()
        # While the circuit is open each request would repeat what its opening has told.
        level = logging.INFO if problem.reason == "circuit_open" else logging.ERROR
        logger.log(level, "S3 %s of %s failed (%s): %s", operation, path, problem.reason, problem.words)
        return problem


class _Opening:
    """A request for an object until its first bytes are there, which must not take longer than fetch_timeout."""

    def __init__(self, provider: ResilientS3StorageProviderBackend, key: str) -> None:
        self._provider = provider
        self._key = key
        self._began = time.monotonic()
        self._result: defer.Deferred[Download | None] = defer.Deferred()
        self._timer: Any = None
        self._told = False
        # Whether a thread has begun with it.
        self._began_to_ask = False
        # The thread may have a body just when the time is up.
        self._lock = threading.Lock()
        self._over = False
        self._body: Body | None = None

    def start(self) -> defer.Deferred[Download | None]:
        provider = self._provider
        self._timer = provider._reactor.callLater(provider._settings.fetch_timeout, self._timed_out)
        provider._download_pool.begin(self._request)
        return self._result

    def _request(self) -> None:
        """In a thread."""
        self._began_to_ask = True
        if self._over:
            return
        provider, then = self._provider, self._provider._reactor.callFromThread
        body = None
        try:
            response = provider._clients.for_downloads().get_object(
                Bucket=provider.bucket, Key=self._key, **provider._settings.sse_arguments()
            )
            body = Body(response["Body"], response.get("ContentLength"))
            with self._lock:
                self._body = body
                over = self._over
            first = bytearray(body.next_size(FIRST_CHUNK))
            if not first:
                body.finish()
            elif not over:
                body.read_into(memoryview(first))
        except Exception as error:
            if body is not None:
                body.close()
            then(self._failed, error)
        else:
            then(self._opened, body, bytes(first[: body.received]))

    def _opened(self, body: Body, first: bytes) -> None:
        provider = self._provider
        if self._result.called:
            provider._download_pool.begin(body.close)
            return
        FETCHED_BYTES.inc(len(first))
        SECONDS.labels("fetch").observe(time.monotonic() - self._began)
        self._tell(provider._fetch_circuit.succeeded)
        download = Download(
            provider._reactor, provider._download_pool, self._key, body, first, provider._settings.stall_timeout
        )
        self._settle(lambda: self._result.callback(download))

    def _failed(self, error: Exception) -> None:
        provider = self._provider
        if self._result.called:
            return
        if is_missing(error):
            FETCHES.labels("missing").inc()
            logger.info("%s is not in S3", self._key)
            self._tell(provider._fetch_circuit.succeeded)
            self._settle(lambda: self._result.callback(None))
            return
        FETCHES.labels("failed").inc()
        problem = provider._problem("fetch", self._key, error)
        self._tell(lambda: provider._tell(provider._fetch_circuit, self._key, problem))
        self._settle(lambda: self._result.errback(problem.for_client()))

    def _timed_out(self) -> None:
        self._timer = None
        with self._lock:
            self._over = True
            body = self._body
        if body is not None:
            body.interrupt()
        settings = self._provider._settings
        if self._began_to_ask:
            self._failed(FetchTimeout(f"no byte of it within {settings.fetch_timeout:g} s"))
        else:
            words = (
                f"no thread for it within {settings.fetch_timeout:g} s, of {settings.threadpool_size} (threadpool_size)"
            )
            self._failed(NoThread(words))

    def _tell(self, outcome: Callable[[], None]) -> None:
        if not self._told:
            self._told = True
            outcome()

    def _settle(self, fire: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        fire()


def _is_synchronous(hs: Any, config: Mapping[str, Any]) -> bool:
    """Whether a request waits for the copy: the setting of the entry that this configuration comes from."""
    for dummy, parsed, wrapper in hs.config.media.media_storage_providers:
        if parsed is config:
            return bool(wrapper.store_synchronous)
    return True
