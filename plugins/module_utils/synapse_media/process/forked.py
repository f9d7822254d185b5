# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls a function as another user, in a child: what root must clean up afterwards stays root's."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import threading
import traceback
from collections.abc import Callable
from typing import Any

from ..errors import MediaError
from .privileges import become
from .signals import STOPPING, Stopped, handed_to, hold_signals, stop_on_signals


def call_as(account: pwd.struct_passwd, function: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The function's value, which must be JSON.

    What it needs must have been imported before: the other user may not be able to read where the code lies.
    """
    answer_out, answer_in = os.pipe()
    life_out, life_in = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(answer_out)
        os.close(life_in)
        _run_child(account, function, answer_in, life_out)
    os.close(answer_in)
    os.close(life_out)
    try:
        # The child is told to stop, and reports what it has done until then.
        with handed_to(lambda stopped: os.kill(child, stopped.number)), os.fdopen(answer_out, "rb") as answer:
            text = answer.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except BaseException:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(life_in)
    if not text:
        raise _without_answer(account.pw_name, status)
    report: dict[str, Any] = json.loads(text)
    return report


def _without_answer(user: str, status: int) -> MediaError:
    number = -status if status < 0 else status - 128
    if number in STOPPING:
        error = MediaError(f"Stopped by {signal.Signals(number).name}. Run it again to go on.")
        error.exit_status = 128 + number
        return error
    return MediaError(
        f"The process that did the work as {user} ended without an answer (exit status {status}). "
        "Run this again; the system's log may say who ended it."
    )


def _run_child(
    account: pwd.struct_passwd, function: Callable[[], dict[str, Any]], answer_in: int, life_out: int
) -> None:
    status = 1
    try:
        become(account)
        stop_on_signals()
        _end_with_parent(life_out)
        report = function()
        hold_signals()
        # The parent may be gone.
        with contextlib.suppress(BrokenPipeError), os.fdopen(answer_in, "wb") as answer:
            answer.write(json.dumps(report).encode())
        status = 0
    except Stopped as stopped:
        status = stopped.exit_status
    except BaseException:
        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:
        # Not sys.exit: what the parent has to flush or to clean up is not the child's.
        os._exit(status)


def _end_with_parent(life_out: int) -> None:
    """The parent holds the other end as long as it lives, however it ends."""

    def watch() -> None:
        os.read(life_out, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
