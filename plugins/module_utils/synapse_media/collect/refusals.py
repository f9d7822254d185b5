# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a garbage collection is refused for: a database that is not this server's, and too much without a row."""

from __future__ import annotations

from ..database.rows import Rows
from ..errors import ConfigurationError
from .report import Report

_LOOKED_AT = 1000


def check_database(rows: Rows, server_name: str | None, report: Report) -> None:
    """Raises ConfigurationError if the database is empty, or its local media is that of another server."""
    if rows.empty():
        raise ConfigurationError(
            "Synapse's database knows of no media at all, so every object would be garbage. It is another server's "
            "database, or an empty one: correct synapse_s3_database, or database in Synapse's configuration."
        )
    if server_name is None:
        report.warnings.append(
            "The server's name is not known (no homeserver_config is given, or it has no server_name), so it was not "
            "compared with the users in the database."
        )
        return
    for user in rows.uploaders(_LOOKED_AT):
        if user.partition(":")[2] != server_name:
            raise ConfigurationError(
                f"server_name in Synapse's configuration is {server_name}, and media in its database was uploaded by "
                f"{user}: it is another server's database. Correct synapse_s3_database, or database in Synapse's "
                "configuration."
            )


def check_share(report: Report, max_percent: int) -> None:
    """Raises ConfigurationError if more of the objects have no row than is credible."""
    if report.orphans.files * 100 <= max_percent * report.objects.files:
        return
    raise ConfigurationError(
        f"{report.orphans.files} of the {report.objects.files} objects of Synapse's layout have no row "
        f"({report.percent:.1f} %), and max_percent is {max_percent}. Nothing was done and nothing was recorded. If "
        "the bucket and prefix are this server's alone and its database is whole, set max_percent (--max-percent) "
        "higher."
    )
