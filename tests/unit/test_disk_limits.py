# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that keep the disk within local_cache_size and min_free: what leaves, what stays, and what is said of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload import disk_limits
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.settings import Shard
from audit_state import TABLES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from offload_host import DAY, OffloadHost, offload_host

# A run leaves the signals of its process held or ignored, because it is about to end.
pytestmark = pytest.mark.usefixtures("signal_handlers")

PACKAGE = str(Path(__file__).parents[2] / "plugins" / "module_utils")
KIB = 1024
MINUTE_MS = 60_000


@pytest.fixture
def host(tmp_path: Path) -> Iterator[OffloadHost]:
    with offload_host(tmp_path) as host:
        yield host


class Free:
    """A file system on which so many bytes are free, and more with each file that leaves it."""

    def __init__(self, host: OffloadHost, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
        self._host = host
        self._before = free + self._used()
        monkeypatch.setattr(disk_limits, "_free_bytes", lambda root: self._before - self._used())

    def now(self) -> int:
        return self._before - self._used()

    def _used(self) -> int:
        block = os.statvfs(self._host.root).f_frsize
        return sum(-(-len(content) // block) * block for content in self._host.files().values())


def test_what_was_accessed_longest_ago_leaves_until_the_rest_fits(host: OffloadHost) -> None:
    paths = [host.add(1000, age_ms=number * MINUTE_MS * 60)[0] for number in range(1, 101)]
    report = host.offload(local_cache_size=40_500)
    assert sorted(host.files()) == sorted(paths[:40])
    assert report.selected["local_cache_size"].as_dict() == {"files": 60, "bytes": 60_000}
    assert report.selected["older_than"].files == 0 and "min_free" not in report.selected
    assert report.deleted.files == 60 and not report.warnings
    again = host.offload(local_cache_size=40_500)
    assert not again.changed and len(host.files()) == 40


def test_a_dry_run_says_what_a_run_would_do_and_why(host: OffloadHost) -> None:
    for number in range(1, 101):
        host.add(1000, age_ms=number * MINUTE_MS * 60)
    before = host.files()
    report = host.offload(rehearse=True, local_cache_size=40_500, older_than=timedelta(hours=90, minutes=30))
    assert host.files() == before
    assert {setting: tally.files for setting, tally in report.selected.items()} == {
        "older_than": 10,
        "local_cache_size": 50,
    }
    assert report.deleted.files == 60
    assert "10 (9.8 KiB) selected by older_than, 50 (48.8 KiB) selected by local_cache_size" in report.summary()
    assert report.as_dict()["selected"]["local_cache_size"] == {"files": 50, "bytes": 50_000}


def test_nothing_more_leaves_where_the_age_is_enough(host: OffloadHost) -> None:
    old = [host.add(1000, age_ms=10 * DAY * 1000)[0] for dummy in range(50)]
    recent = [host.add(1000, age_ms=1000)[0] for dummy in range(50)]
    report = host.offload(older_than=timedelta(days=1), local_cache_size=50_000)
    assert sorted(host.files()) == sorted(recent) and report.deleted.files == len(old)
    assert report.selected["local_cache_size"].files == 0


def test_thumbnails_leave_with_their_media_and_count(host: OffloadHost) -> None:
    old = host.add(100, age_ms=5000, thumbnails=(500, 500), origin="example.org")
    recent = host.add(100, age_ms=1000, thumbnails=(500, 500))
    host.offload(local_cache_size=1100)
    assert sorted(host.files()) == sorted(recent) != sorted(old)


def test_all_media_of_the_same_time(host: OffloadHost) -> None:
    """As after an import: a part leaves, the same in every run, and with its thumbnails."""
    media = [host.add(900, age_ms=5000, thumbnails=(100,)) for dummy in range(200)]
    report = host.offload(local_cache_size=100_000)
    left = host.files()
    assert 95_000 <= host.bytes_left() <= 100_000
    assert {sum(path in left for path in paths) for paths in media} == {0, 2}
    assert not report.warnings and not host.offload(local_cache_size=100_000).changed


def test_one_huge_file(host: OffloadHost) -> None:
    """It leaves if it was accessed longest ago, although less would do, and stays if it was accessed last."""
    (huge,) = host.add(100_000, age_ms=9000)
    small = [host.add(1000, age_ms=number)[0] for number in range(1, 11)]
    host.offload(local_cache_size=105_000)
    assert sorted(host.files()) == sorted(small) and huge not in host.files()


def test_the_time_of_the_upload_counts_where_nobody_accessed_it(host: OffloadHost) -> None:
    (old,) = host.add(1000, age_ms=None, created_age_ms=9000)
    (recent,) = host.add(1000, age_ms=8000, created_age_ms=20_000)
    (timeless,) = host.add(1000, age_ms=None)
    host.offload(local_cache_size=2000)
    assert sorted(host.files()) == sorted([recent, timeless]) and old not in host.files()
    host.offload(local_cache_size=1)
    assert list(host.files()) == [timeless]


def test_media_that_was_accessed_after_the_run_began_stays(host: OffloadHost) -> None:
    (later,) = host.add(1000, age_ms=-3_600_000)
    report = host.offload(local_cache_size=1)
    assert list(host.files()) == [later]
    assert "nothing more may be moved. What stays: 1 files (1000 B) recent." in report.warnings[0]


def test_a_warning_where_nothing_more_may_be_moved(host: OffloadHost) -> None:
    host.add(1000, age_ms=5000)
    host.file("local_content/Zz/Zz/orphan", 5000)
    for rehearse in (True, False):
        report = host.offload(rehearse=rehearse, local_cache_size=2048)
        (warning,) = report.warnings
        assert f"{'would have' if rehearse else 'has'} 4.9 KiB of media after this run" in warning
        assert "more than local_cache_size (2.0 KiB): nothing more may be moved" in warning
        assert "What stays: 1 files (4.9 KiB) orphan." in warning
        assert report.failures == 0 and report.deleted.files == 1
    assert list(host.files()) == ["local_content/Zz/Zz/orphan"]


def test_a_warning_where_not_all_could_be_moved(host: OffloadHost) -> None:
    paths = [host.add(1000, age_ms=5000)[0] for dummy in range(2)]
    host.contents.objects[paths[0]] = b"other"
    host.contents.classes[paths[1]] = "GLACIER"
    report = host.offload(local_cache_size=1)
    assert sorted(host.files()) == sorted(paths) and report.failures == 2
    assert "not all that had to leave the disk has left it. What stays: 2 failed." in report.warnings[0]


def test_enough_leaves_for_the_free_space(host: OffloadHost, monkeypatch: pytest.MonkeyPatch) -> None:
    block = os.statvfs(host.root).f_frsize
    paths = [host.add(10, age_ms=number * MINUTE_MS * 60)[0] for number in range(1, 101)]
    free = Free(host, monkeypatch, 10 * block)
    # Each file takes a block, however small it is.
    report = host.offload(min_free=40 * block)
    assert free.now() == 40 * block and sorted(host.files()) == sorted(paths[:70])
    assert report.selected["min_free"].files == 30 and not report.warnings
    assert not host.offload(min_free=40 * block).changed


def test_free_space_that_is_enough_costs_no_pass(host: OffloadHost, monkeypatch: pytest.MonkeyPatch) -> None:
    block = os.statvfs(host.root).f_frsize
    host.add(10, age_ms=5000)
    Free(host, monkeypatch, block)
    assert host.offload(min_free=block).database_rows == 1
    assert host.offload(min_free=2 * block, rehearse=True).database_rows == 2


def test_free_space_that_cannot_be_reached(host: OffloadHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.add(10, age_ms=5000)
    free = Free(host, monkeypatch, 0)
    for rehearse in (True, False):
        report = host.offload(rehearse=rehearse, min_free=1024**2)
        assert "nothing more may be moved. What stays: nothing." in report.warnings[0]
        assert "less than min_free (1.0 MiB)" in report.warnings[0] and report.failures == 0
    assert host.files() == {} and free.now() == os.statvfs(host.root).f_frsize


def test_the_stricter_of_two_limits_decides(host: OffloadHost, monkeypatch: pytest.MonkeyPatch) -> None:
    block = os.statvfs(host.root).f_frsize
    for number in range(1, 101):
        host.add(block, age_ms=number * MINUTE_MS * 60)
    Free(host, monkeypatch, 0)
    report = host.offload(rehearse=True, local_cache_size=90 * block, min_free=30 * block)
    assert {setting: tally.files for setting, tally in report.selected.items()} == {
        "older_than": 0,
        "local_cache_size": 10,
        "min_free": 20,
    }
    report = host.offload(rehearse=True, local_cache_size=50 * block, min_free=30 * block)
    assert [report.selected[name].files for name in ("local_cache_size", "min_free")] == [50, 0]


def test_shards_together_move_what_one_host_would(host: OffloadHost) -> None:
    for number in range(1, 101):
        host.add(1000, age_ms=number * MINUTE_MS * 60, thumbnails=(100,))
    alone = host.offload(rehearse=True, local_cache_size=55_000)
    assert alone.deleted.files == 100
    moved = []
    for index in (1, 2, 3):
        report = host.offload(local_cache_size=55_000, shard=Shard(index, 3))
        moved.append(report.deleted.files)
        assert not report.warnings
    assert sum(moved) == 100 and all(15 < files < 55 for files in moved)


def test_without_limits_there_is_one_pass(host: OffloadHost) -> None:
    host.add(10, age_ms=5000)
    report = host.offload()
    assert report.database_rows == 1 and report.counted_before == 0
    assert not {"selected", "kept"} & set(report.as_dict())
    assert host.offload(local_cache_size=1000).database_rows == 2


def test_a_limit_that_no_run_could_keep_is_refused(host: OffloadHost) -> None:
    host.add(10, age_ms=5000)
    disk = os.statvfs(host.root)
    before = host.files()
    for rehearse in (True, False):
        with pytest.raises(ConfigurationError, match=r"min_free is .* in all\. Choose a smaller one"):
            host.offload(rehearse=rehearse, min_free=disk.f_blocks * disk.f_frsize)
    assert host.files() == before and not list(host.state_dir.iterdir())


STATES = st.lists(
    st.tuples(
        st.integers(1, 3000),
        st.one_of(st.none(), st.integers(0, 5), st.integers(0, 400 * DAY * 1000)),
        st.sampled_from(["", "example.org"]),
        st.lists(st.integers(1, 200), max_size=2).map(tuple),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=STATES, size=st.integers(1, 40_000))
def test_as_a_sorted_list_says(tmp_path_factory: pytest.TempPathFactory, state: list[Any], size: int) -> None:
    with offload_host(tmp_path_factory.mktemp("host")) as host:
        media = [
            (age_ms, host.add(length, age_ms, origin=origin, thumbnails=thumbnails))
            for length, age_ms, origin, thumbnails in state
        ]
        files = {path: len(content) for path, content in host.files().items()}
        host.offload(local_cache_size=size)
        left = set(host.files())
        ages = {age_ms: sum(files[path] for path in paths) for age_ms, paths in media}
        assert all(len(left & set(paths)) in (0, len(paths)) for dummy, paths in media)
        gone = [(age_ms, paths) for age_ms, paths in media if not left & set(paths)]
        stayed = [age_ms for age_ms, paths in media if left & set(paths)]
        assert all(age_ms is not None for age_ms, dummy in gone)
        may_move = [age_ms for age_ms in stayed if age_ms is not None]
        assert not gone or not may_move or min(age for age, dummy in gone) >= max(may_move)
        remaining = sum(files[path] for path in left)
        assert remaining <= size or not may_move, ages
        if gone:
            # With what was accessed last of those that are gone, there would be too much, or it is within 5 %.
            largest = max(sum(files[path] for path in paths) for dummy, paths in gone)
            assert remaining >= size * 0.95 - largest


MEASURE = """
import resource, sys
from datetime import timedelta
from synapse_media.offload import engine
from synapse_media.offload.settings import OffloadSettings
from synapse_media.settings.homeserver import DatabaseSettings
from synapse_media.settings.source import Source
from synapse_media.settings.store import StoreSettings

root, database, state_dir = sys.argv[1:]
store = {"bucket": "media", "endpoint_url": "http://127.0.0.1:9", "access_key_id": "id", "secret_access_key": "secret"}
limits = {"local_cache_size": 1 << 40, "min_free": 1}
settings = OffloadSettings(state_dir, timedelta(days=7000), provider_check=False, **limits)
source = Source(root, DatabaseSettings("sqlite3", {"database": database}))
report = engine.run(source, StoreSettings.from_mapping(store), settings, rehearse=True)
print(report.counted_before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_memory(directory: Path, count: int) -> int:
    """In KiB, of a process that counts so many files for its limits."""
    root = directory / "media_store"
    names = [f"{number % 100:02}{number // 100 % 10:02}{number:012}" for number in range(count)]
    for folder in {f"{name[:2]}/{name[2:4]}" for name in names}:
        (root / "local_content" / folder).mkdir(parents=True)
    for name in names:
        (root / "local_content" / name[:2] / name[2:4] / name[4:]).touch()
    database = directory / "homeserver.db"
    with closing(connect(database)) as connection:
        connection.executescript(TABLES)
        rows = ((name, 1_500_000_000_000 + number * 7_654_321) for number, name in enumerate(names))
        columns = "media_id, media_length, last_access_ts"
        connection.executemany(f"INSERT INTO local_media_repository ({columns}) VALUES (?, 0, ?)", rows)
        connection.commit()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(root), str(database), str(directory)],
        env={**os.environ, "PYTHONPATH": PACKAGE},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    counted, peak = done.stdout.split()
    assert int(counted) == count
    return int(peak)


def test_memory_is_flat(tmp_path: Path) -> None:
    small, large = (peak_memory(tmp_path / str(count), count) for count in (4000, 40_000))
    assert large < small + 6 * KIB, (small, large)
