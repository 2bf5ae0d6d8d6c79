"""PURE: the hash that ties each event to the one before it."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

GENESIS = "0" * 64


def event_hash(previous_hash: str, fields: Mapping[str, Any]) -> str:
    """SHA-256 over the previous hash and an event's fields.

    Parameters
    ----------
    previous_hash : str
        64 hexadecimal digits; `GENESIS` for the first event.
    fields : mapping
        Everything the event says, JSON-ready. Key order does not matter.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(f"{previous_hash}\n{canonical}".encode()).hexdigest()
