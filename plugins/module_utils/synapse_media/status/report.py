# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what was found to a state in one word, with the reasons and the remedies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..audit import counts
from ..audit.run import Audit
from ..disk.layout import LOCAL_CONTENT, REMOTE_CONTENT
from ..settings.units import in_words
from .units import MigrateJob

HEALTHY = "HEALTHY"
DEGRADED = "DEGRADED"
UNKNOWN = "UNKNOWN"

# As monitoring plugins number them.
OK, WARNING, CRITICAL, NOT_KNOWN = 0, 1, 2, 3
_DOCS = "https://github.com/matrix-ops/ansible-collection-synapse-s3/blob/main/docs/status.md"
FULL_PERCENT = 90


class Reason(NamedTuple):
    """Why the state is not HEALTHY: `level` is WARNING, CRITICAL or NOT_KNOWN.

    `action` is empty if the text ends with the remedy, as the texts of errors do.
    """

    level: int
    code: str
    text: str
    action: str

    @property
    def see(self) -> str:
        """The page that says more."""
        return f"{_DOCS}#{self.code.replace('_', '-')}"


@dataclass(frozen=True)
class Disk:
    """Of the media store's file system, in bytes; None if it cannot be asked."""

    size: int | None = None
    free: int | None = None

    @property
    def percent(self) -> int | None:
        if not self.size or self.free is None:
            return None
        return round(100 * (self.size - self.free) / self.size)


@dataclass
class Status:
    """Everything that `status` tells. `location` names the bucket without a secret."""

    location: str
    media_path: str
    audit: Audit
    job: MigrateJob
    disk: Disk
    # The modules in media_storage_providers of the processes that serve media, and why Synapse could not fetch.
    providers: list[str] = field(default_factory=list)
    provider_problem: str | None = None
    usage: dict[str, Any] | None = None
    usage_problem: str | None = None
    # Settings of the migrate job that what it would move leaves out of account.
    not_considered: list[str] = field(default_factory=list)

    @property
    def reasons(self) -> list[Reason]:
        """The gravest first."""
        order = (CRITICAL, NOT_KNOWN, WARNING)
        return sorted(_reasons(self), key=lambda reason: order.index(reason.level))

    @property
    def exit_status(self) -> int:
        """That of a monitoring plugin."""
        reasons = self.reasons
        return reasons[0].level if reasons else OK

    @property
    def state(self) -> str:
        status = self.exit_status
        return HEALTHY if status == OK else UNKNOWN if status == NOT_KNOWN else DEGRADED

    def as_dict(self) -> dict[str, Any]:
        report = {
            "state": self.state,
            "exit_status": self.exit_status,
            "reasons": [
                {
                    "level": {WARNING: "warning", CRITICAL: "critical", NOT_KNOWN: "unknown"}[reason.level],
                    "code": reason.code,
                    "text": reason.text,
                    "action": reason.action,
                    "see": reason.see,
                }
                for reason in self.reasons
            ],
            "location": self.location,
            "media_path": self.media_path,
            "audit": self.audit.as_dict(),
            "migrate": self.job.as_dict(),
            "disk": {"size": self.disk.size, "free": self.disk.free, "percent_used": self.disk.percent},
            "bucket": {
                "list": None if not self.audit.requests.get("list") else "bucket" not in self.audit.failures,
                "read": self.audit.readable,
                "write": None,
            },
            "providers": self.providers,
        }
        if self.usage is not None:
            report["usage"] = self.usage
        return report


def _reasons(status: Status) -> Iterator[Reason]:
    yield from _of_media(status)
    yield from _of_what_was_not_asked(status)
    yield from _of_provider(status)
    yield from _of_host(status)


def _of_media(status: Status) -> Iterator[Reason]:
    findings = status.audit.findings
    more = (
        "The paths are in the output of --json."
        if findings[counts.NOWHERE].files <= counts.EXAMPLES
        else (f"The first {counts.EXAMPLES} paths are in the output of --json.")
    )
    unconfirmed = status.audit.comparison.unconfirmed
    sure = f" {unconfirmed} files were not looked at again at the end." if unconfirmed else ""
    lost = findings[counts.NOWHERE].files_of(LOCAL_CONTENT)
    if lost:
        yield Reason(
            CRITICAL,
            "lost",
            f"{_media(lost)} of this server {_are(lost)} in the database, and neither on the disk nor in the bucket."
            f"{sure}",
            f"Look for the files in a backup of the disk, and for earlier versions of the objects. {more}",
        )
    wrong = findings[counts.WRONG_LENGTH].files
    if wrong:
        yield Reason(
            CRITICAL,
            "wrong_length",
            f"No copy of {_media(wrong)} has the length that the database says.",
            "Compare the files with a backup. The migrate job leaves them where they are.",
        )
    lost_remote = findings[counts.NOWHERE].files_of(REMOTE_CONTENT)
    if lost_remote:
        yield Reason(
            WARNING,
            "lost_remote",
            f"{_media(lost_remote)} of other servers {_are(lost_remote)} neither on the disk nor in the bucket.{sure}",
            "Synapse fetches it from its server again when it is asked for, where that server still has it.",
        )
    differ = findings[counts.DIFFERENT].files
    if differ:
        yield Reason(
            WARNING,
            "different",
            f"{differ} {'file differs from its object' if differ == 1 else 'files differ from their objects'}.",
            "A run of the migrate job replaces an object where the database proves the file right, and names the rest.",
        )
    archived = findings[counts.ARCHIVED].files
    if archived:
        yield Reason(
            WARNING,
            "archived",
            f"{archived} {'object is' if archived == 1 else 'objects are'} archived, where Synapse cannot read them.",
            "Restore them, copy them to another storage class, and see which lifecycle rule of the bucket moved them.",
        )


def _of_what_was_not_asked(status: Status) -> Iterator[Reason]:
    audit = status.audit
    for name, failure in audit.failures.items():
        yield Reason(NOT_KNOWN, f"{name}_not_asked", failure, "")
    counted = audit.counted
    if (
        "database" not in audit.failures
        and not counted.get("database_rows")
        and (counted.get("objects") or counted.get("files"))
    ):
        yield Reason(
            NOT_KNOWN,
            "empty_database",
            "Synapse's database knows of no media at all, but the disk or the bucket holds some.",
            "It is another server's database, or an empty one: correct synapse_s3_database, or database in Synapse's "
            "configuration.",
        )
    unasked = audit.findings[counts.UNASKED].files
    if unasked and not audit.failures:
        yield Reason(
            NOT_KNOWN,
            "hidden",
            f"Of {unasked} files it cannot be said where they are: links and directories that cannot be read are in "
            "the way.",
            "Give the directories to Synapse's user, and put directories in the place of links to them.",
        )
    if audit.readable is False and "bucket" not in audit.failures:
        yield Reason(NOT_KNOWN, "unreadable", f"Objects cannot be read: {audit.read_problem}", "Correct the keys.")


def _of_provider(status: Status) -> Iterator[Reason]:
    if status.provider_problem is not None:
        only = status.audit.findings[counts.BUCKET_ONLY].files
        yield Reason(CRITICAL if only else WARNING, "provider", status.provider_problem, "")


def _of_host(status: Status) -> Iterator[Reason]:
    job = status.job
    if job.last_run_failed and not job.running:
        number = f", exit status {job.last_exit_status}" if job.last_exit_status is not None else ""
        yield Reason(
            WARNING,
            "run_failed",
            f"The last run of the migrate job failed ({job.last_result}{number}).",
            "journalctl -t synapse-s3-migrate says why.",
        )
    if job.has_timer and not job.timer_active:
        yield Reason(
            WARNING,
            "timer",
            "The timer of the migrate job is not active, so nothing leaves the disk.",
            "Run the playbook matrix_ops.synapse_s3.site, or systemctl start the timer.",
        )
    if job.image_changed:
        yield Reason(
            WARNING,
            "image",
            f"{job.image} is another image now than the one that the image with the storage provider was built from.",
            "Run the playbook matrix_ops.synapse_s3.site, which builds it again.",
        )
    percent = status.disk.percent
    if percent is not None and percent >= FULL_PERCENT:
        due = status.audit.comparison.due
        yield Reason(
            WARNING,
            "disk_full",
            f"The disk of the media store is {percent} % full.",
            f"A run of the migrate job would move {in_words(due.bytes)}. "
            "Lower synapse_s3_migrate_older_than to move more.",
        )


def _media(number: int) -> str:
    return f"{number} media"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
