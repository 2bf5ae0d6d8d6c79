"""Watching what is live: monitors, windows, drift, performance, alerts.

A *monitor* exists per (model, environment, alias). Its *reference* is the live version's training part; its *current*
data is the prediction log or an uploaded *batch*, cut into *windows* of time. Per feature a window has an effect size
and a p-value corrected for the number of features; with too few rows it says "not enough data", which is neither health
nor drift. Measuring (`drift_tests`) and deciding (`alerting`) are kept apart.

What no window tells, silence and faults, is asked every few minutes by rules (`alert_rules`: `liveness`, `faults`) that
learn what is usual; without a past, or without samples, a rule opens nothing and closes nothing. Whatever raises an
alert does so through `alert_log`.

How well a model does in a window is *realised* where labels have come, *estimated* from what the version's labelled
reference taught (`estimating`, `loss_estimating`), and *corrected* where both are counted together. An estimate carries
what speaks against it (`believing`). Labels come late, in any order, twice or corrected; a window is *mature* when nine
tenths of those that will come are in (`maturity`).
"""
