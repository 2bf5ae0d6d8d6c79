"""The ids of predictions: 32 hexadecimal digits that rise with time.

An id is a UUID of version 7 (RFC 9562, section 5.7): 48 bits of milliseconds since 1970, then 74 random bits. Files of
the log hold rows of one day or less, so their ids lie between two that tell their time, and a label finds its file by
its id alone. Random ids, as they were before, lie everywhere.
"""

from __future__ import annotations

import os
from datetime import datetime

RANDOM_BYTES = 10
VERSION, VARIANT = 0x7 << 76, 0b10 << 62


def prediction_ids(at: datetime, n: int) -> list[str]:
    """So many new ids.

    Parameters
    ----------
    at : datetime
        When the predictions were made; aware.

    Returns
    -------
    list of n str
        Of one moment in no order; those of an earlier millisecond sort before those of a later one.
    """
    time = int(at.timestamp() * 1000) << 80
    random = os.urandom(RANDOM_BYTES * n)
    return [
        f"{time | _marked(int.from_bytes(random[place : place + RANDOM_BYTES])):032x}"
        for place in range(0, len(random), RANDOM_BYTES)
    ]


def _marked(random: int) -> int:
    """80 random bits, six of them in favour of the version and the variant."""
    return random & ~(0xF << 76) & ~(0b11 << 62) | VERSION | VARIANT
