"""What an approval is bound to, and what to say when it changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

CHANGED: dict[str, str] = {
    "artifact": "the candidate's model file changed",
    "threshold": "the threshold the candidate decides by changed",
    "evaluations": "the predictions the verdicts were computed from changed",
    "checks": "the checks of the training data changed",
    "card": "the model card was edited",
    "behaviour": "the behaviour suite or its outcome changed",
    "policy": "the promotion policy changed",
    "quarantine": "the quarantine state of the training data changed",
    "champion": "another version became live",
}


def digest(value: object) -> str:
    """SHA-256, in hexadecimal, of a JSON document in its one canonical form (sorted keys, no spaces)."""
    return hashlib.sha256(
        json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    ).hexdigest()


def changes(bound: Mapping[str, Any], fresh: Mapping[str, Any]) -> tuple[str, ...]:
    """Say which bound values differ now, in words; empty when an approval would mean what was seen.

    A value missing on either side counts as changed.
    """
    return tuple(
        words for key, words in CHANGED.items() if key not in bound or key not in fresh or bound[key] != fresh[key]
    )
