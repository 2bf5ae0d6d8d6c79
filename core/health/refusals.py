"""PURE: what requests to predict are refused for, by the status they are answered with."""

from __future__ import annotations

from collections.abc import Mapping

REFUSALS: Mapping[int, str] = {
    400: "a body that is not what was asked for",
    401: "no valid token",
    403: "a token that may not predict",
    404: "a model or alias that is not live",
    413: "too many rows at once",
    422: "rows that do not fit the model's features",
    429: "too many requests at once",
}
OTHER = "another reason"


def refused_for(status: int | str) -> str:
    """What a request with this status was refused for, as a noun: "no valid token"."""
    return REFUSALS.get(int(status), OTHER) if str(status).isdigit() else OTHER
