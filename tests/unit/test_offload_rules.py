# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is moved and what stays, and which reason is given where several apply."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.database.rows import Row
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import (
    LOCAL,
    REMOTE,
    Media,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.local_file import LocalFile
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.selection import (
    Rules,
    reason_to_leave,
)

NOW = 1_800_000_000.0
DAY = 86400
RULES = Rules(older_than=timedelta(days=1), grace=timedelta(seconds=60), store_remote=True)
OLD = Row(7, None, int((NOW - 2 * DAY) * 1000), False)


def file(kind: str = LOCAL, age: float = 3600) -> LocalFile:
    media = Media(kind, "example.org" if kind == REMOTE else "", "AbCdEf")
    return LocalFile("local_content/Ab/Cd/Ef", media, 7, int((NOW - age) * 1e9), 1, 1)


def test_old_media_in_an_old_file_is_moved() -> None:
    assert reason_to_leave(file(), OLD, RULES, NOW) is None
    assert reason_to_leave(file(REMOTE), OLD, RULES, NOW) is None


def test_remote_media_stays_where_it_is_excluded() -> None:
    rules = RULES._replace(store_remote=False)
    assert reason_to_leave(file(REMOTE), OLD, rules, NOW) == "remote"
    assert reason_to_leave(file(LOCAL), OLD, rules, NOW) is None


def test_a_file_without_a_row_stays() -> None:
    assert reason_to_leave(file(), None, RULES, NOW) == "orphan"


def test_a_url_preview_stays() -> None:
    assert reason_to_leave(file(), OLD._replace(url_cache=True), RULES, NOW) == "url_cache"


@pytest.mark.parametrize(
    ("used", "reason"),
    [
        (NOW - DAY - 0.001, None),
        (NOW - DAY, "recent"),
        (NOW - 5, "recent"),
        (NOW + DAY, "recent"),
    ],
)
def test_media_that_was_used_lately_stays(used: float, reason: str | None) -> None:
    assert reason_to_leave(file(), OLD._replace(last_used_ms=int(used * 1000)), RULES, NOW) == reason


def test_media_without_any_time_is_never_old() -> None:
    assert reason_to_leave(file(), OLD._replace(last_used_ms=None), RULES, NOW) == "recent"


def test_at_zero_all_media_used_before_now_is_old_enough() -> None:
    rules = RULES._replace(older_than=timedelta(0))
    assert reason_to_leave(file(), OLD._replace(last_used_ms=int(NOW * 1000) - 1), rules, NOW) is None
    assert reason_to_leave(file(), OLD._replace(last_used_ms=int(NOW * 1000)), rules, NOW) == "recent"


@pytest.mark.parametrize(("age", "reason"), [(61, None), (59, "grace"), (0, "grace"), (-5, "grace"), (-DAY, "grace")])
def test_a_file_that_was_written_lately_stays(age: float, reason: str | None) -> None:
    assert reason_to_leave(file(age=age), OLD, RULES, NOW) == reason


def test_without_grace_only_a_file_with_a_future_time_stays() -> None:
    rules = RULES._replace(grace=timedelta(0))
    assert reason_to_leave(file(age=1), OLD, rules, NOW) is None
    assert reason_to_leave(file(age=-1), OLD, rules, NOW) == "grace"


def test_of_several_reasons_the_most_lasting_is_given() -> None:
    rules = RULES._replace(store_remote=False)
    newest = Row(7, None, int(NOW * 1000), True)
    assert reason_to_leave(file(REMOTE, age=0), None, rules, NOW) == "remote"
    assert reason_to_leave(file(LOCAL, age=0), None, rules, NOW) == "orphan"
    assert reason_to_leave(file(LOCAL, age=0), newest, rules, NOW) == "url_cache"
    assert reason_to_leave(file(LOCAL, age=0), newest._replace(url_cache=False), rules, NOW) == "recent"
