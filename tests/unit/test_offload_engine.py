# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run from settings to report, with a pipeline replaced by the test."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    ConfigurationError,
    LockedError,
    MediaError,
    StoreError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload import engine
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.context import Context
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.metrics import (
    write_metrics,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.report import (
    UPLOADED,
    VERIFIED,
    Report,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.settings import (
    OffloadSettings,
    Shard,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.signals import Stopped
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.runs.job import exit_status
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.runs.report import Failure
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.objects import MultipartUpload
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.uploads import Uploads
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    DatabaseSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.source import Source
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings

# A run leaves the signals of its process held or ignored, because it is about to end.
pytestmark = pytest.mark.usefixtures("signal_handlers")

STORE = StoreSettings.from_mapping(
    {"bucket": "media", "endpoint_url": "http://127.0.0.1:9", "access_key_id": "id", "secret_access_key": "secret"}
)
UPLOAD = MultipartUpload("upload", False, "")
Pipeline = Callable[[Context], Coroutine[Any, Any, None]]


class Host:
    def __init__(self, directory: Path) -> None:
        self.state_dir = directory / "state"
        self.state_dir.mkdir(mode=0o700)
        self.media_path = directory / "media_store"
        (self.media_path / "local_content").mkdir(parents=True)
        self.metrics = directory / "offload.prom"
        database = directory / "homeserver.db"
        with closing(sqlite3.connect(database)) as connection, connection:  # pylint: disable=confusing-with-statement
            connection.execute("CREATE TABLE local_media_repository (media_id TEXT)")
            connection.execute("CREATE TABLE remote_media_cache (media_id TEXT)")
            connection.execute("INSERT INTO local_media_repository VALUES ('AABBrest')")
        self.database = DatabaseSettings("sqlite3", {"database": str(database)})

    def run(self, *, rehearse: bool = False, shard: Shard | None = None, **options: Any) -> Report:
        settings = OffloadSettings(
            str(self.state_dir), metrics_file=str(self.metrics), shard=shard or Shard(1, 1), concurrency=4
        )
        return engine.run(Source(str(self.media_path), self.database), STORE, settings, rehearse=rehearse, **options)

    def metric(self, name: str) -> float:
        lines = [line.split() for line in self.metrics.read_text().splitlines()]
        return next(float(words[1]) for words in lines if words[0] == f"synapse_s3_offload_{name}")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pipeline], None]:
    def use(function: Pipeline) -> None:
        monkeypatch.setattr(engine, "offload", function)

    return use


async def upload_one(context: Context) -> None:
    context.report.scanned.add(5)
    context.report.done(UPLOADED, "a", 5)


async def refuse(context: Context) -> None:
    raise StoreError("Listing the bucket failed: it is not there. Make it.", "NoSuchBucket")


def test_a_complete_run(host: Host, pipeline: Callable[[Pipeline], None]) -> None:
    seen: list[Context] = []

    async def look(context: Context) -> None:
        seen.append(context)
        context.bucket.requests["put"] += 3
        await upload_one(context)

    pipeline(look)
    report = host.run()
    assert report.changed and report.error is None and not report.dry_run
    assert report.requests["put"] == 3 and report.seconds > 0
    assert (host.metric("success"), host.metric("exit_status")) == (1, 0)
    assert sorted(path.name for path in host.state_dir.iterdir()) == ["location", "lock"]
    (context,) = seen
    assert context.files.root == str(host.media_path) and not context.rehearse and context.store == STORE
    assert not context.files.stopping


def test_a_dry_run_writes_nothing(host: Host, pipeline: Callable[[Pipeline], None]) -> None:
    async def look(context: Context) -> None:
        assert context.rehearse
        await upload_one(context)

    pipeline(look)
    host.state_dir.rmdir()
    assert host.run(rehearse=True).as_dict()["dry_run"] is True
    assert not host.state_dir.exists() and not host.metrics.exists()


def test_failed_files_are_reported_and_are_no_success(host: Host, pipeline: Callable[[Pipeline], None]) -> None:
    async def fail(context: Context) -> None:
        context.report.fail("a", "a", "no")

    pipeline(fail)
    heard: list[Failure] = []
    report = host.run(on_failure=heard.append)
    assert report.failures == 1 and report.error is None and heard == report.failed
    assert (host.metric("success"), host.metric("exit_status")) == (0, 1)


def test_a_refusing_server_gives_one_error_and_records_no_location(
    host: Host, pipeline: Callable[[Pipeline], None]
) -> None:
    pipeline(refuse)
    with pytest.raises(StoreError) as caught:
        host.run()
    report: Report = caught.value.report  # type: ignore[attr-defined]
    assert report.error == "Listing the bucket failed: it is not there. Make it." and not report.changed
    assert exit_status(caught.value, report) == 2 == host.metric("exit_status")
    assert [path.name for path in host.state_dir.iterdir()] == ["lock"]


def test_work_before_the_refusal_is_reported(host: Host, pipeline: Callable[[Pipeline], None]) -> None:
    async def half(context: Context) -> None:
        await upload_one(context)
        await refuse(context)

    pipeline(half)
    for rehearse, status in ((True, 2), (False, 1)):
        with pytest.raises(StoreError) as caught:
            host.run(rehearse=rehearse)
        report: Report = caught.value.report  # type: ignore[attr-defined]
        assert report.changed and exit_status(caught.value, report) == status
    assert host.metric("exit_status") == 1 and (host.state_dir / "location").exists()


def test_proven_objects_record_the_location(host: Host, pipeline: Callable[[Pipeline], None]) -> None:
    async def prove(context: Context) -> None:
        context.report.done(VERIFIED, "a", 5)

    pipeline(prove)
    assert not host.run().changed
    assert (host.state_dir / "location").exists()


def test_a_programming_error_is_no_success(host: Host, pipeline: Callable[[Pipeline], None]) -> None:
    async def stumble(context: Context) -> None:
        raise KeyError("a")

    pipeline(stumble)
    with pytest.raises(KeyError) as caught:
        host.run()
    report: Report = caught.value.report  # type: ignore[attr-defined]
    assert report.error == "KeyError: 'a'" and exit_status(caught.value, report) == 1
    assert host.metric("exit_status") == 1


def test_a_second_run_with_the_same_state_directory(host: Host, pipeline: Callable[[Pipeline], None]) -> None:
    pipeline(upload_one)
    host.run()
    before = host.metrics.read_text()
    with (host.state_dir / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for rehearse in (True, False):
            with pytest.raises(LockedError) as caught:
                host.run(rehearse=rehearse)
            assert exit_status(caught.value, Report()) == 3
    assert host.metrics.read_text() == before


def test_a_second_run_on_the_same_media_store(host: Host, pipeline: Callable[[Pipeline], None]) -> None:
    pipeline(upload_one)
    other = os.open(host.media_path, os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_SH)
        with pytest.raises(LockedError, match="media store"):
            host.run()
        assert host.run(shard=Shard(2, 3)).changed
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(LockedError, match="media store"):
            host.run(shard=Shard(2, 3))
    finally:
        os.close(other)


def test_a_file_system_that_cannot_lock_directories(
    host: Host, pipeline: Callable[[Pipeline], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock

    def refuse_directories(descriptor: int, operation: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112 - a descriptor has no other name
            raise OSError(9, "Bad file descriptor")
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", refuse_directories)
    pipeline(upload_one)
    assert host.run().changed


def test_a_signal_stops_the_run_and_aborts_its_uploads(
    host: Host, pipeline: Callable[[Pipeline], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    aborted: list[tuple[str, MultipartUpload]] = []

    async def wait(context: Context) -> None:
        await upload_one(context)
        context.uploads.unfinished.add(("key", UPLOAD))
        os.kill(os.getpid(), signal.SIGTERM)
        await context.loop.sleep(30)

    async def abort(uploads: Uploads) -> None:
        assert uploads.files.stopping
        uploads.bucket.requests["abort_multipart"] += 1
        aborted.extend(uploads.unfinished)

    monkeypatch.setattr(Uploads, "abort_unfinished", abort)
    pipeline(wait)
    with pytest.raises(Stopped) as caught:
        host.run()
    report: Report = caught.value.report  # type: ignore[attr-defined]
    assert aborted == [("key", UPLOAD)] and report.requests["abort_multipart"] == 1
    assert report.error == "Stopped by SIGTERM. Run it again to go on." and report.uploaded.files == 1
    assert exit_status(caught.value, report) == 143 == host.metric("exit_status")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_other_signals(host: Host, pipeline: Callable[[Pipeline], None], number: signal.Signals, status: int) -> None:
    async def wait(context: Context) -> None:
        os.kill(os.getpid(), number)
        await context.loop.sleep(30)

    pipeline(wait)
    with pytest.raises(Stopped) as caught:
        host.run()
    assert exit_status(caught.value, Report()) == status


def test_a_server_that_does_not_respond_does_not_delay_a_stop(
    host: Host, pipeline: Callable[[Pipeline], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(context: Context) -> None:
        context.uploads.unfinished.add(("key", UPLOAD))
        raise MediaError("The database is gone. Start it.")

    async def never(uploads: Uploads) -> None:
        await uploads.loop.sleep(30)

    monkeypatch.setattr(Uploads, "abort_unfinished", never)
    monkeypatch.setattr(engine, "_ABORT_WITHIN", 0.1)
    pipeline(wait)
    with pytest.raises(MediaError, match="The database is gone") as caught:
        host.run()
    assert caught.value.report.seconds < 10  # type: ignore[attr-defined]


def test_signals_are_handled_in_the_main_thread_only(host: Host, pipeline: Callable[[Pipeline], None]) -> None:
    pipeline(upload_one)
    before = signal.getsignal(signal.SIGTERM)
    reports: list[Report] = []
    thread = threading.Thread(target=lambda: reports.append(host.run()))
    thread.start()
    thread.join()
    assert reports[0].changed and signal.getsignal(signal.SIGTERM) is before


def test_signals_are_blocked_after_the_work(
    host: Host, pipeline: Callable[[Pipeline], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All was moved, and the report and the metrics say so."""

    def signalled(*arguments: Any, **options: Any) -> None:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            os.kill(os.getpid(), number)
        write_metrics(*arguments, **options)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(engine, "write_metrics", signalled)
    pipeline(upload_one)
    report = host.run()
    os.kill(os.getpid(), signal.SIGTERM)
    assert report.changed and report.error is None and host.metric("exit_status") == 0

    pipeline(refuse)
    with pytest.raises(StoreError):
        host.run()
    assert host.metric("exit_status") == 2


def test_an_observer_is_called_at_begin_and_end(host: Host, pipeline: Callable[[Pipeline], None]) -> None:
    seen: list[int] = []

    async def work(context: Context) -> None:
        await context.loop.sleep(0.01)
        await upload_one(context)

    pipeline(work)
    host.run(observe=lambda report: seen.append(report.uploaded.files))
    assert seen[0] == 0 and seen[-1] == 1


def test_metrics_that_cannot_be_written_are_a_warning(host: Host, pipeline: Callable[[Pipeline], None]) -> None:
    async def spoil(context: Context) -> None:
        await upload_one(context)
        host.metrics.mkdir()

    pipeline(spoil)
    report = host.run()
    assert report.changed and "could not be written" in report.warnings[-1]


def test_a_refusal_is_in_the_metrics(host: Host, pipeline: Callable[[Pipeline], None]) -> None:
    pipeline(upload_one)
    (host.media_path / "local_content").rmdir()
    with pytest.raises(ConfigurationError, match="is no media store") as caught:
        host.run()
    assert not caught.value.report.changed  # type: ignore[attr-defined]
    assert host.metric("exit_status") == 2
