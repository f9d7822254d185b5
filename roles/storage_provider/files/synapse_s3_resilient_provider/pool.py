# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The threads for downloads, which take turns with them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from twisted.python.threadpool import ThreadPool


class DownloadPool(ThreadPool):  # type: ignore[misc]
    """First come, first served; a download that others wait for gives its thread back, and queues up again."""

    def __init__(self, threads: int) -> None:
        super().__init__(name="s3-downloads", maxthreads=threads)
        self._lock = threading.Lock()
        self._waiting = 0

    def begin(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call it in a thread, as soon as one is free."""
        with self._lock:
            self._waiting += 1
        self.callInThread(self._call, function, *arguments)

    @property
    def is_wanted(self) -> bool:
        """Whether a call waits for a thread."""
        return self._waiting > 0

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        with self._lock:
            self._waiting -= 1
        function(*arguments)
