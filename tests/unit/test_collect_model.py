# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random histories of uploads, deletions, collections, undos and time, compared with what must exist.

An object whose media has a row is never removed; nothing younger than min_age is; what is removed is in the trash, and
comes back byte for byte. The histories are always the same, so that a failure is the same for everybody.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from pathlib import Path

from audit_state import DAY, Media
from collect_host import HEEDS, IGNORES, REFUSES, CollectHost, collect_host
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from restore_host import media

MIN_AGE = 30 * DAY
_ORIGINS = ("", "example.org")
_NUMBERS = st.integers(0, 1)
SETTINGS = settings(
    max_examples=15,
    stateful_step_count=50,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# How often the histories came to what they are about.
REACHED: Counter[str] = Counter()


class History(RuleBasedStateMachine):
    """What the store should hold, kept beside it: `stored` by path, `rows` the media with a row."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._host: CollectHost = self._stack.enter_context(collect_host(directory, page=13, prefix="m/"))
        self._media: set[Media] = set()
        self._rows: set[Media] = set()
        # Content, and time of the last change, of everything that was ever stored and may not be gone for good.
        self._stored: dict[str, tuple[bytes, float]] = {}
        self._has_no_row_since: dict[Media, float] = {}
        self._logs: list[tuple[str, dict[str, bytes]]] = []
        self._count = 0

    def teardown(self) -> None:
        self._stack.close()

    @initialize(condition=st.sampled_from((HEEDS, IGNORES, REFUSES)))
    def begin(self, condition: str) -> None:
        self._host.contents.condition = condition

    @rule(number=_NUMBERS, origin=st.sampled_from(_ORIGINS), thumbnails=st.integers(0, 2), row=st.booleans())
    def upload(self, number: int, origin: str, thumbnails: int, row: bool) -> None:
        """Of new media, or again at the same paths; what has a row keeps it."""
        one = media(number, origin)
        self._count += 1
        contents = [f"{self._count}/{position}".encode() for position in range(1 + thumbnails)]
        adds_row = row and one not in self._rows
        paths = self._host.put_media(one, *contents, age_days=0, row=adds_row)
        self._media.add(one)
        if adds_row:
            self._rows.add(one)
            self._has_no_row_since.pop(one, None)
        elif one not in self._rows:
            self._has_no_row_since.setdefault(one, self._host.now)
        self._stored.update({path: (content, self._host.now) for path, content in zip(paths, contents)})

    @rule(number=_NUMBERS, origin=st.sampled_from(_ORIGINS))
    def delete_by_admin(self, number: int, origin: str) -> None:
        one = media(number, origin)
        if one in self._rows:
            self._host.delete_row(one)
            self._rows.remove(one)
            self._has_no_row_since[one] = self._host.now

    @rule(number=_NUMBERS, origin=st.sampled_from(_ORIGINS))
    def restore_the_database(self, number: int, origin: str) -> None:
        one = media(number, origin)
        if one in self._media and one not in self._rows:
            self._host.row(one, b"again")
            self._rows.add(one)
            self._has_no_row_since.pop(one)

    @rule(number_of_days=st.sampled_from((10, 31, 31)))
    def pass_time(self, number_of_days: int) -> None:
        self._host.pass_time(number_of_days)

    @rule()
    def look(self) -> None:
        before = dict(self._host.contents.objects)
        report, status = self._host.collect(max_percent=100)
        assert (status, report.changed) == (0, False), report.error
        assert self._host.contents.objects == before

    @rule(rehearse=st.booleans())
    def collect(self, rehearse: bool) -> None:
        before, trash_before = self._host.objects(), dict(self._host.contents.objects)
        report, status = self._host.collect(confirm=True, rehearse=rehearse, max_percent=100)
        assert (status, report.failures) == (0, 0), report.error
        if rehearse:
            assert self._host.contents.objects == trash_before
            return
        after = self._host.objects()
        removed = {path: content for path, content in before.items() if path not in after}
        assert {path: after[path] for path in after} == {path: before[path] for path in after}
        for path, content in removed.items():
            one = self._media_of(path)
            assert one not in self._rows, path
            assert self._host.now - self._has_no_row_since[one] >= MIN_AGE, path
            assert self._host.now - self._stored[path][1] >= MIN_AGE, path
            # Whole in the trash at the same time.
            assert content in self._trash_of(path)
        if report.log is not None and removed:
            self._logs.append((report.log, removed))
            REACHED["trashed"] += 1
        for key, content in trash_before.items():
            path = key.partition("synapse-s3-trash/")[2].partition("/")[2]
            if path and key not in self._host.contents.objects:
                REACHED["purged"] += 1
                assert self._media_of(path) not in self._rows or after.get(path) == content, path
        REACHED["kept in the trash"] += report.kept_in_trash_count

    @rule(number=_NUMBERS, origin=st.sampled_from(_ORIGINS), row_comes_back=st.booleans())
    def collect_one(self, number: int, origin: str, row_comes_back: bool) -> None:
        """A whole life: stored, deleted by an admin, collected; and the database is restored from a backup, or not."""
        self.upload(number, origin, 1, row=True)
        self.delete_by_admin(number, origin)
        self.look()
        self.pass_time(31)
        self.collect(rehearse=False)
        if row_comes_back:
            self.restore_the_database(number, origin)

    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        if not self._logs:
            return
        log, removed = data.draw(st.sampled_from(self._logs))
        before = self._host.objects()
        in_trash = {path: self._trash_of(path) for path in removed}
        dummy, status = self._host.collect(undo=log)
        after = self._host.objects()
        # What was there stays, and what the trash still has comes back.
        assert {path: after[path] for path in before} == before
        back = {path: content for path, content in removed.items() if content in in_trash[path]}
        assert set(back) <= set(after)
        for path in set(after) - set(before):
            assert after[path] == removed[path]
            self._stored[path] = (after[path], self._host.now)
            REACHED["brought back"] += 1
        assert status == (0 if set(removed) <= set(after) else 1)

    @invariant()
    def whatever_has_a_row_is_there_or_in_the_trash(self) -> None:
        objects = self._host.objects()
        for path, (content, dummy) in self._stored.items():
            if self._media_of(path) in self._rows:
                assert objects.get(path) == content or self._was_purged(path) or content in self._trash_of(path), path

    def _was_purged(self, path: str) -> bool:
        """Whether its row came back only after the trash had been emptied: only then may it be gone."""
        return not self._trash_of(path) and path in {path for dummy, removed in self._logs for path in removed}

    def _media_of(self, path: str) -> Media | None:
        for one in self._media:
            if path.startswith((one.path, one.thumbnail(1, "").rpartition("/")[0] + "/")):
                return one
        return None

    def _trash_of(self, path: str) -> list[bytes]:
        found = self._host.contents.objects.items()
        return [content for key, content in found if key.startswith("m/synapse-s3-trash/") and key.endswith(f"/{path}")]


def test_random_histories(signal_handlers: None) -> None:
    REACHED.clear()
    run_state_machine_as_test(History, settings=SETTINGS)
    # Otherwise the histories would prove little.
    assert set(+REACHED) == {"trashed", "purged", "brought back", "kept in the trash"}, REACHED
