import numpy as np
import pandas as pd

from core.training.preprocessing import CalendarParts


def test_moments_become_calendar_parts() -> None:
    moments = pd.to_datetime(["1969-12-31 23:10", "2024-02-29 07:59", "2026-03-12 14:05", None])
    frame = pd.DataFrame({"seen": moments.astype("datetime64[us]")})
    parts = CalendarParts(hours=True).fit(frame).transform(frame)
    expected = [
        [moment.year, moment.month, moment.weekday(), moment.hour, (moment.normalize() - pd.Timestamp(0)).days]
        for moment in moments[:3]
    ]
    assert parts[:3].tolist() == expected
    assert np.isnan(parts[3]).all()


def test_dates_have_no_hour() -> None:
    frame = pd.DataFrame({"a": pd.to_datetime(["2026-03-12"]), "b": pd.to_datetime(["2026-03-14"])})
    assert CalendarParts().fit_transform(frame).tolist() == [[2026, 3, 3, 20524, 2026, 3, 5, 20526]]
