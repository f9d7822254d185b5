# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files stay until their objects have been in the bucket for min_bucket_age, whatever clock is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from email.utils import formatdate
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.proof.bucket_age import bucket_age
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.proof.object_index import Found
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.times import seconds_of
from offload_host import OffloadHost, offload_host

# A run leaves the signals of its process held or ignored, because it is about to end.
pytestmark = pytest.mark.usefixtures("signal_handlers")

DAY = 86_400.0
WEEK = timedelta(days=7)
NOON = 1_769_860_800.0


def listed(seconds: float, decimals: str = ".000") -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f"{decimals}Z"


def found(modified: str, date: str = "") -> Found:
    return Found(10, "etag", asked_at=time.monotonic(), modified=modified, date=date)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[OffloadHost]:
    with offload_host(tmp_path) as host:
        yield host


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-31T12:00:00.000Z", NOON),
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31T12:00:00.123456789Z", NOON),
        ("2026-01-31T12:00:00+00:00", NOON),
        ("Sat, 31 Jan 2026 12:00:00 GMT", NOON),
        ("Sat, 31 Jan 2026 13:00:00 +0100", NOON),
        ("2026-01-31T12:00:00+02:00", None),
        ("2026-01-31T12:00:00", None),
        ("2026-13-31T12:00:00Z", None),
        ("2026-01-31", None),
        ("", None),
        ("yesterday", None),
        ("Sat, 31 Jan 99999 12:00:00 GMT", None),
    ],
)
def test_times_of_stores(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


def test_the_age_is_that_of_the_clock_that_makes_the_object_younger() -> None:
    now = time.time()
    old = listed(now - 10 * DAY)
    for date, days in (("", 10), (formatdate(now, usegmt=True), 10), (formatdate(now - 4 * DAY, usegmt=True), 6)):
        age = bucket_age(found(old, date))
        assert age is not None and abs(age - days * DAY) < 60
    # The store's clock is ahead.
    age = bucket_age(found(old, formatdate(now + 30 * DAY, usegmt=True)))
    assert age is not None and abs(age - 10 * DAY) < 60


def test_the_age_is_that_at_the_time_of_the_response() -> None:
    """However long a run takes, a listing makes no object older than it was."""
    now = time.time()
    age = bucket_age(found(listed(now - 10 * DAY))._replace(asked_at=time.monotonic() - 5 * DAY))
    assert age is not None and abs(age - 5 * DAY) < 60


def test_a_time_in_the_future_is_never_old() -> None:
    age = bucket_age(found(listed(time.time() + DAY)))
    assert age is not None and age < 0


def test_only_what_has_been_in_the_bucket_that_long_leaves(host: OffloadHost) -> None:
    now = time.time()
    times = {
        "old": now - 7 * DAY - 60,
        "young": now - 7 * DAY + 60,
        "new": now - 1,
        "future": now + 1000 * DAY,
        "ancient": 0.0,
    }
    paths = {}
    for name, modified in times.items():
        (paths[name],) = host.add(1000, age_ms=5000)
        host.contents.modified[paths[name]] = listed(modified)
        host.contents.last_modified[paths[name]] = formatdate(modified, usegmt=True)
    for rehearse in (True, False):
        report = host.offload(rehearse=rehearse, older_than=timedelta(0), min_bucket_age=WEEK)
        assert (report.verified.files, report.deleted.files, report.failures) == (5, 2, 0)
        assert report.as_dict()["kept"] == {"files": 3, "bytes": 3000}
        assert "3 (2.9 KiB) kept for now (in the bucket for less than 7d)" in report.summary()
        # One page, and the HEAD that shows that objects can be read, as without min_bucket_age.
        assert {kind: number for kind, number in report.requests.items() if kind in ("list", "head")} == {
            "list": 1,
            "head": 1,
        }
    assert sorted(host.files()) == sorted(paths[name] for name in ("young", "new", "future"))


def test_of_a_head_its_own_time_counts(host: OffloadHost) -> None:
    """The listing was made before the object was replaced by an equal one."""
    (path,) = host.add(1000, age_ms=5000)
    host.contents.last_modified[path] = formatdate(time.time() - DAY, usegmt=True)
    report = host.offload(older_than=timedelta(0), min_bucket_age=WEEK)
    assert (report.deleted.files, report.kept and report.kept.files) == (0, 1)
    host.contents.last_modified[path] = formatdate(time.time() - 8 * DAY, usegmt=True)
    assert host.offload(older_than=timedelta(0), min_bucket_age=WEEK).deleted.files == 1


def test_evidence_that_has_to_be_asked_again_is_not_asked_for_what_stays(host: OffloadHost) -> None:
    paths = [host.add(1000, age_ms=5000)[0] for dummy in range(3)]
    for path in paths:
        host.contents.last_modified[path] = formatdate(time.time() - 8 * DAY, usegmt=True)
        host.contents.modified[path] = listed(time.time() - 8 * DAY)
    host.contents.modified[paths[2]] = listed(time.time())
    # An equal object has replaced it since the listing.
    host.contents.last_modified[paths[1]] = formatdate(time.time(), usegmt=True)
    report = host.offload(older_than=timedelta(0), min_bucket_age=WEEK, evidence_age=timedelta(0))
    assert sorted(host.files()) == sorted(paths[1:])
    # The first shows that objects can be read, the others are those that were old enough by the listing.
    assert report.requests["head"] == 3
    assert (report.verified.files, report.kept and report.kept.files, report.deleted.files) == (3, 2, 1)


def test_a_store_that_gives_no_time_keeps_everything_on_the_disk(host: OffloadHost) -> None:
    (path,) = host.add(1000, age_ms=5000)
    host.contents.modified[path] = ""
    report = host.offload(older_than=timedelta(0), min_bucket_age=WEEK)
    assert list(host.files()) == [path] and report.kept is not None and report.kept.files == 1
    assert "did not say since when it has 1 objects" in report.warnings[0]


def test_what_would_be_uploaded_would_stay(host: OffloadHost) -> None:
    host.add(1000, age_ms=5000, with_object=False)
    report = host.offload(rehearse=True, older_than=timedelta(0), min_bucket_age=timedelta(seconds=1))
    assert (report.uploaded.files, report.deleted.files, report.kept and report.kept.files) == (1, 0, 1)


def test_what_is_kept_is_not_made_up_for(host: OffloadHost) -> None:
    """The size is not kept by moving what was accessed later; the warning says why it is exceeded."""
    (old,) = host.add(1000, age_ms=9000)
    (recent,) = host.add(1000, age_ms=1000)
    host.contents.modified[old] = listed(time.time())
    report = host.offload(local_cache_size=1500, min_bucket_age=timedelta(hours=36))
    assert sorted(host.files()) == sorted([old, recent])
    assert "1 (1000 B) kept for now (in the bucket for less than 36h)" in report.warnings[0]


def test_copies_that_stay_anyway_are_not_counted_as_kept(host: OffloadHost) -> None:
    host.add(1000, age_ms=5000)
    for rehearse in (True, False):
        report = host.offload(rehearse=rehearse, older_than=timedelta(0), delete_local=False, min_bucket_age=WEEK)
        assert report.verified.files == 1 and "kept" not in report.as_dict()
