"""PURE: deciding whether batches or labels stopped coming, bear old rows, or wait to be measured.

A rhythm is learned from when things came: it takes four arrivals (those of one half day count as one), and what is
waited for is missed after twice the *second* longest gap there was, a day at least, and four days, the length of a
weekend with a holiday, while the arrivals span less than two weeks. A monitor that only ever had historical files
handed in together therefore never alerts for silence, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from core.monitoring.liveness import DAY, HOUR, LEARNING, LONG_WEEKEND, Finding, Outlook, ago, in_words, upper

FEWEST_ARRIVALS = 4
HALF_DAY_S = 12 * 3600


def no_labels(
    arrivals: Sequence[datetime], *, last_prediction_at: datetime | None, now: datetime, limit_hours: float | None
) -> Finding:
    """Decide whether labels stopped coming while predictions go on.

    Parameters
    ----------
    arrivals : sequence of datetime
        When labels came, oldest first.
    """
    if not arrivals and limit_hours is None:
        return Finding(Outlook.UNKNOWN, "No labels have come yet; whether any will is not known.")
    if last_prediction_at is None or (arrivals and last_prediction_at <= arrivals[-1]):
        return Finding(Outlook.QUIET, "Nothing was predicted since the last labels came.")
    if not arrivals:
        return Finding(Outlook.UNKNOWN, "No labels have come yet.")
    return _rhythm(arrivals, now=now, limit_hours=limit_hours, noun="labels")


def freshness(
    batches: Sequence[datetime], *, last_prediction_at: datetime | None, now: datetime, limit_hours: float | None
) -> Finding:
    """Decide whether no new data comes: by when it arrived, whatever times its rows bear (those are `late_rows`'s).

    Parameters
    ----------
    batches : sequence of datetime
        When batches were handed in, oldest first.
    last_prediction_at : datetime or None
        Counts as data where a limit was set: how long predictions may pause by themselves is `no_predictions`'s.
    """
    if limit_hours is None:
        if not batches:
            return Finding(Outlook.UNKNOWN, "No batch was handed in; the log is judged by its silence.")
        return _rhythm(batches, now=now, limit_hours=None, noun="a batch")
    came = [at for at in (*batches[-1:], last_prediction_at) if at is not None]
    if not came:
        return Finding(Outlook.UNKNOWN, "No data has come yet.")
    return _rhythm([max(came)], now=now, limit_hours=limit_hours, noun="data")


def _rhythm(arrivals: Sequence[datetime], *, now: datetime, limit_hours: float | None, noun: str) -> Finding:
    last = arrivals[-1]
    waited = now - last
    said = f"the last {noun.removeprefix('a ')} came {ago(waited)}"
    if limit_hours is not None:
        if waited > limit_hours * HOUR:
            sentence = f"{said}; {limit_hours:g} h is the limit that was set."
            return Finding(Outlook.FIRES, sentence, last)
        return Finding(Outlook.QUIET, f"{upper(said)}.")
    # What was handed in together is one arrival: a history of twelve files tells nothing of a rhythm.
    together = list({int(at.timestamp()) // HALF_DAY_S: at for at in arrivals}.values())
    if len(together) < FEWEST_ARRIVALS:
        return Finding(Outlook.UNKNOWN, f"{upper(said)}. That is too little to know a rhythm.")
    gaps = sorted(later - earlier for earlier, later in pairwise(together))
    limit = max(DAY, 2 * gaps[-2], LONG_WEEKEND if together[-1] - together[0] < LEARNING else DAY)
    if waited > limit:
        return Finding(Outlook.FIRES, f"{said}; {in_words(limit)} would be usual at most.", last)
    return Finding(Outlook.QUIET, f"{upper(said)}; up to {in_words(limit)} is usual.")


def late_rows(batches: Sequence[tuple[datetime, datetime]], *, limit_hours: float | None) -> Finding:
    """Decide whether batches come whose newest rows are old: what hands them in works, what fills them does not.

    Judged at the last arrival, by the newest row of all batches so far: a batch that fills a gap in the past makes
    nothing late, and how long nothing has come at all is `freshness`'s. How old the newest row usually gets before the
    next batch brings a newer one is learned from the past.

    Parameters
    ----------
    batches : sequence of (datetime, datetime)
        When each was handed in, oldest first, and the time of its newest row by the time column it was given with;
        batches without one are left out.
    limit_hours : float or None
        None to learn it.
    """
    if not batches:
        return Finding(Outlook.UNKNOWN, "No batch bears times of its own; predictions are dated when they are made.")
    arrivals, newest = _together(batches)
    age = max(arrivals[-1] - newest[-1], timedelta(0))
    said = f"the newest row was {in_words(age)} old when the last batch came"
    if limit_hours is not None:
        if age > limit_hours * HOUR:
            return Finding(Outlook.FIRES, f"{said}; {limit_hours:g} h is the limit that was set.", newest[-1])
        return Finding(Outlook.QUIET, f"{upper(said)}.")
    # The last is being judged, and is no measure of itself; nor are those that brought nothing newer.
    past = sorted(
        arrival - before
        for before, after, arrival in zip(newest[:-2], newest[1:-1], arrivals[1:-1], strict=True)
        if after > before
    )
    if len(past) < FEWEST_ARRIVALS - 2:
        return Finding(Outlook.UNKNOWN, f"{upper(said)}. That is too little to know what is usual.")
    limit = max(DAY, 2 * past[-2], LONG_WEEKEND if arrivals[-1] - arrivals[0] < LEARNING else DAY)
    if age > limit:
        sentence = f"{said}; {in_words(limit)} would be usual at most. Rows come, but no newer ones."
        return Finding(Outlook.FIRES, sentence, newest[-1])
    return Finding(Outlook.QUIET, f"{upper(said)}; up to {in_words(limit)} is usual.")


def _together(batches: Sequence[tuple[datetime, datetime]]) -> tuple[list[datetime], list[datetime]]:
    """Arrivals by half day, and the newest row there was by then."""
    arrivals: dict[int, datetime] = {}
    rows: dict[int, datetime] = {}
    newest = batches[0][1]
    for arrival, row in batches:
        place = int(arrival.timestamp()) // HALF_DAY_S
        newest = max(newest, row)
        arrivals[place], rows[place] = arrival, newest
    return list(arrivals.values()), list(rows.values())


def not_run(
    waiting_since: datetime | None, *, now: datetime, limit_hours: float, worked: timedelta | None = None
) -> Finding:
    """Decide whether data waits too long to be measured.

    Parameters
    ----------
    waiting_since : datetime or None
        When the oldest data came that was not measured yet; None where there is none.
    worked : timedelta, optional
        For how long of that wait a worker ran: while none does, that is what is missed, not this monitor.
    """
    if waiting_since is None:
        return Finding(Outlook.QUIET, "All data that came was measured.")
    waited = now - waiting_since
    if waited > limit_hours * HOUR and worked is not None and worked <= limit_hours * HOUR:
        return Finding(Outlook.QUIET, f"Data that came {ago(waited)} waits; a worker ran for {in_words(worked)} of it.")
    if waited > limit_hours * HOUR:
        sentence = f"data that came {ago(waited)} has not been measured; what it says is older than that."
        return Finding(Outlook.FIRES, sentence, waiting_since)
    return Finding(Outlook.QUIET, f"The newest data came {ago(waited)} and is about to be measured.")
