# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A child process does the work as another user, while root stays root to clean up."""

from __future__ import annotations

import os
import pwd
import signal
import threading
import time
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.forked import call_as
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.signals import Stopped

# A run leaves the signals of its process held or ignored, because it is about to end.
pytestmark = pytest.mark.usefixtures("signal_handlers")

NOBODY = pwd.getpwnam("nobody")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def test_the_function_runs_as_the_other_user_and_the_caller_does_not() -> None:
    answer = call_as(NOBODY, lambda: {"uid": os.geteuid(), "home": os.environ["HOME"]})
    assert answer == {"uid": NOBODY.pw_uid, "home": NOBODY.pw_dir}
    assert os.geteuid() == 0 and os.environ["HOME"] != NOBODY.pw_dir


def test_a_long_result_arrives_whole() -> None:
    assert len(call_as(NOBODY, lambda: {"text": "x" * 1_000_000})["text"]) == 1_000_000


def test_a_child_that_is_killed_is_an_error() -> None:
    def killed() -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    with pytest.raises(MediaError, match=r"as nobody ended without an answer \(exit status -9\)"):
        call_as(NOBODY, killed)


def test_a_child_that_fails_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    def failing() -> dict[str, Any]:
        raise KeyError("surprise")

    with pytest.raises(MediaError, match="exit status 1"):
        call_as(NOBODY, failing)
    assert "KeyError: 'surprise'" in capfd.readouterr().err


def stopped() -> dict[str, Any]:
    """Work that a signal ends and that reports how far it came."""
    try:
        time.sleep(60)
    except Stopped as error:
        return {"stopped": str(error)}
    return {}


def test_a_signal_to_the_child_leaves_its_report() -> None:
    def signalled() -> dict[str, Any]:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        return stopped()

    assert call_as(NOBODY, signalled) == {"stopped": "SIGTERM"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_caller_is_passed_on_and_the_report_arrives(number: signal.Signals) -> None:
    timers = [threading.Timer(0.3 + n / 10, os.kill, (os.getpid(), number)) for n in range(3)]
    for timer in timers:
        timer.start()
    assert call_as(NOBODY, stopped) == {"stopped": number.name}
    for timer in timers:
        timer.join()


def test_a_child_ended_by_a_signal_without_a_report_is_a_stop(capfd: pytest.CaptureFixture[str]) -> None:
    def signalled() -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
        return {}

    with pytest.raises(MediaError, match=r"^Stopped by SIGTERM\. Run it again") as error:
        call_as(NOBODY, signalled)
    assert error.value.exit_status == 143 and capfd.readouterr().err == ""
