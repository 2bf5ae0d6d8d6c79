"""Thresholds of a monitor, calibrated once for each version, part of its reference and size of window, and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from sqlmodel import Session, col, select

from core.database import utc_now
from core.drift.calibrating import Column, Promise, Thresholds, WindowThresholds, calibrate, window_level
from core.drift.dependence import Blocks
from core.drift.measuring import streams_of
from core.drift.sketching import Sketch
from core.monitoring.counting import Key
from core.monitoring.monitor_settings import MonitorSettings
from core.monitoring.reference import Reference, Some
from core.monitoring.reference_blocks import ReferenceBlocks, blocks_of
from core.monitoring.tables import Calibration
from core.workspace import Workspace

SEED = 20_260_518
EDITION = 3
"""Of how thresholds are calibrated; raised when the same promise leads to others, so that none of before is taken."""
BAND = 4
"""Windows of alike sizes share a calibration: from one power of 4 to the next."""


def promise_of(settings: MonitorSettings, windows_a_month: float) -> Promise:
    """What a monitor promises."""
    return Promise(
        settings.false_alerts,
        windows_a_month,
        windows_needed=settings.windows_needed,
        windows_of=settings.windows_of,
    )


@dataclass(eq=False)
class MonitorThresholds:
    """The thresholds one monitor holds one version's windows against.

    What was calibrated is kept under a digest of all that decides it: the promise, the tests that decide, the part of
    the reference, the size of the window, the blocks that tell how rows hang together, and how it was calibrated. The
    same digest always has the same thresholds. Slices, and batches without times, are taken to hang together as windows
    do.

    Parameters
    ----------
    workspace : Workspace
    monitor_id : int
    settings : MonitorSettings
    reference : Reference
    promise : Promise
    keeps : bool
        Whether to store what is calibrated; a preview does not.
    """

    workspace: Workspace
    monitor_id: int
    settings: MonitorSettings
    reference: Reference
    promise: Promise
    keeps: bool = True
    _found: dict[str, Thresholds] = field(default_factory=dict)

    def of(self, kinds: Mapping[Key, str], some: Some, n_rows: int) -> WindowThresholds:
        """The thresholds of a window of so many rows.

        Parameters
        ----------
        kinds : mapping of Key to kind
            The columns that are looked at, which the promise counts.
        some : Some
            The part of the reference that the window is held against.
        n_rows : int
            At least 1.
        """
        low = BAND ** int(np.log2(n_rows) / 2 + 1e-9)
        digest = self._digest(kinds, some, low)
        if digest not in self._found:
            stored = self._stored(digest)
            self._found[digest] = stored or self._calibrate(kinds, some, low, digest)
        return self._found[digest].at(n_rows)

    def _digest(self, kinds: Mapping[Key, str], some: Some, low: int) -> str:
        promise = self.promise
        deciding: dict[str, Any] = {
            "edition": EDITION,
            "level": window_level(promise),
            "windows": [promise.windows_needed, promise.windows_of],
            "tests": sorted(self.settings.tests.items()),
            "columns": sorted((key[0], key[1], kind) for key, kind in kinds.items()),
            "reference": some.key,
            "from_rows": low,
            "blocks": None
            if self._blocks is None
            else [self._blocks.time_column, self.settings.window, self.settings.window_rows, self.settings.season],
        }
        return hashlib.sha256(json.dumps(deciding).encode()).hexdigest()

    def _stored(self, digest: str) -> Thresholds | None:
        with self.workspace.read() as session:
            found = _row(session, self.monitor_id, self.reference.version_id, digest)
        return None if found is None else Thresholds.from_json(found.thresholds)

    @cached_property
    def _blocks(self) -> ReferenceBlocks | None:
        return blocks_of(self.reference, self.settings)

    @property
    def time_column(self) -> str | None:
        """The column of the training data that tells the time; None where none does."""
        return self.settings.season_column or self.reference.time_column

    def _calibrate(self, kinds: Mapping[Key, str], some: Some, low: int, digest: str) -> Thresholds:
        sketches = self.reference.sketches([some])[some]
        blocks = None if self._blocks is None else self._blocks.of(some)
        found = calibrate(
            {key: self._column(key, kind, sketches[key], blocks and blocks(key)) for key, kind in kinds.items()},
            sizes=(low, BAND * low),
            level=window_level(self.promise),
            rng=np.random.default_rng(SEED),
            windows_needed=self.promise.windows_needed,
            windows_of=self.promise.windows_of,
        )
        if self.keeps:
            with self.workspace.write() as session:
                if _row(session, self.monitor_id, self.reference.version_id, digest) is None:
                    session.add(
                        Calibration(
                            monitor_id=self.monitor_id,
                            version_id=self.reference.version_id,
                            settings_digest=digest,
                            thresholds=found.to_json() | {"of": self._of(some)},
                            computed_at=utc_now(),
                        )
                    )
        return found

    def _of(self, some: Some) -> dict[str, Any]:
        return {
            "slice": "" if some.slice is None else some.slice.label,
            "dependent_rows": self.settings.dependent_rows,
            "time_column": self.time_column,
        }

    def _column(self, key: Key, kind: str, sketch: Sketch, blocks: Blocks | None) -> Column:
        chosen = None if key[0] else self.settings.tests.get(key[1])
        return Column(sketch, kind, streams_of(kind, sketch.n_present, chosen), blocks)


def _row(session: Session, monitor_id: int, version_id: int, digest: str) -> Calibration | None:
    query = select(Calibration).where(
        col(Calibration.monitor_id) == monitor_id,
        col(Calibration.version_id) == version_id,
        col(Calibration.settings_digest) == digest,
    )
    return session.exec(query).first()
