from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from core.serving.prediction_ids import prediction_ids

AT = datetime(2026, 3, 12, 14, 5, 0, 123_456, tzinfo=UTC)


def test_an_id_is_a_uuid_of_version_7_that_tells_its_millisecond() -> None:
    """Held against the layout of RFC 9562, section 5.7, as the standard library reads it."""
    for one in prediction_ids(AT, 50):
        read = uuid.UUID(hex=one)
        assert (one, read.version, read.variant) == (read.hex, 7, uuid.RFC_4122)
        assert read.int >> 80 == 1_773_324_300_123


def test_ids_rise_with_time_and_are_never_given_twice() -> None:
    moments = [AT + timedelta(milliseconds=ms) for ms in (0, 1, 2, 1_000, 86_400_000, 40 * 365 * 86_400_000)]
    given = [prediction_ids(at, 2_000) for at in moments]
    assert all(max(before) < min(after) for before, after in pairwise(given))
    assert len({one for some in given for one in some}) == 12_000


def test_no_ids_for_no_rows() -> None:
    assert prediction_ids(AT, 0) == []
