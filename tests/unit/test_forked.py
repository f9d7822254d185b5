"""Work is done as somebody else, and root stays root to clear up."""

from __future__ import annotations

import os
import pwd
import signal
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.forked import call_as

NOBODY = pwd.getpwnam("nobody")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def test_the_function_runs_as_the_other_user_and_the_caller_stays() -> None:
    answer = call_as(NOBODY, lambda: {"uid": os.geteuid(), "home": os.environ["HOME"]})
    assert answer == {"uid": NOBODY.pw_uid, "home": NOBODY.pw_dir}
    assert os.geteuid() == 0 and os.environ["HOME"] != NOBODY.pw_dir


def test_a_long_answer_comes_whole() -> None:
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
