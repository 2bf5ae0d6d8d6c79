"""PURE: a made-up internet provider's subscribers, month by month, with one planted change.

Each row is one subscriber at the end of a month and whether they left in the next one. Everything is drawn from fixed
distributions, except that from `PRICE_RISE` on ``monthly_charge`` is 18 % higher. No other feature moves, so a monitor
that is right names that one and stays silent on the rest; more subscribers leave because the charge is part of why
they leave.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

PRICE_RISE = 8
PRICE_FACTOR = 1.18
CONTRACTS = ("monthly", "one year", "two years")
PAYMENTS = ("card", "direct debit", "transfer")
REGIONS = ("centre", "coast", "north", "valley")


def month(start: date, index: int, *, n_rows: int, seed: int = 11) -> pd.DataFrame:
    """Draw one month of the stream.

    Parameters
    ----------
    start : date
        First day of month 0.
    index : int
        Which month, from 0; from `PRICE_RISE` on the charge is higher.
    n_rows : int
        Subscribers drawn.
    seed : int
        The same seed and index draw the same rows.

    Returns
    -------
    DataFrame of shape (n_rows, 11)
        ``subscriber, observed_on, gender, region, contract, payment, tenure_months, monthly_charge, data_gb,
        support_calls, left`` ("yes" or "no").
    """
    rng = np.random.default_rng([seed, index])
    year, month_number = divmod(start.month - 1 + index, 12)
    first = pd.Timestamp(start.year + year, month_number + 1, 1)
    contract = rng.choice(CONTRACTS, n_rows, p=(0.55, 0.27, 0.18))
    tenure = np.clip(rng.gamma(1.6, 16.0, n_rows), 0, 96).round().astype(int)
    data_gb = rng.lognormal(3.4, 0.6, n_rows).round(1)
    charge = 22 + 9 * (contract == "monthly") + 0.25 * np.minimum(data_gb, 120) + rng.normal(0, 6, n_rows)
    charge = np.clip(charge, 9, None) * (PRICE_FACTOR if index >= PRICE_RISE else 1.0)
    calls = rng.poisson(0.9, n_rows)
    logit = (
        -2.6
        + 1.3 * (contract == "monthly")
        - 0.6 * (contract == "two years")
        - 0.035 * tenure
        + 0.45 * calls
        + 0.055 * (charge - 35)
    )
    left = rng.random(n_rows) < 1 / (1 + np.exp(-logit))
    return pd.DataFrame(
        {
            "subscriber": [f"S{index:02d}{number:05d}" for number in range(n_rows)],
            "observed_on": (first + pd.to_timedelta(rng.integers(0, 28, n_rows), unit="D")).strftime("%Y-%m-%d"),
            "gender": rng.choice(("female", "male"), n_rows),
            "region": rng.choice(REGIONS, n_rows, p=(0.4, 0.25, 0.2, 0.15)),
            "contract": contract,
            "payment": rng.choice(PAYMENTS, n_rows, p=(0.5, 0.35, 0.15)),
            "tenure_months": tenure,
            "monthly_charge": charge.round(2),
            "data_gb": data_gb,
            "support_calls": calls,
            "left": np.where(left, "yes", "no"),
        }
    )
