"""PURE: the parts of Gatehouse, and what was last seen of each process that ran one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

PARTS: Mapping[str, str] = {
    "web": "the pages and the REST API do not answer",
    "scoring": "requests to predict are not answered",
    "worker": "jobs wait and no monitor is computed",
}
"""Every part, in the order in which they are started, and what is missed without it."""


@dataclass(frozen=True)
class Seen:
    """One process of a part that did not say goodbye.

    Parameters
    ----------
    role : str
        A key of `PARTS`.
    host, address : str
        Its machine, and where it listens; a worker listens nowhere.
    started_at : datetime
    beating_since : datetime
        Since when it has beaten without a pause of a minute: after its machine slept, since it woke.
    seen_at : datetime
        Its last beat.
    died : tuple of datetime
        The last beats of the processes of its part whose place it took in the last day, without a goodbye of theirs.
    """

    role: str
    host: str
    address: str
    started_at: datetime
    beating_since: datetime
    seen_at: datetime
    died: tuple[datetime, ...] = ()

    @property
    def part(self) -> tuple[str, str, str]:
        """What another process of the same part has in common with it."""
        return self.role, self.host, self.address
