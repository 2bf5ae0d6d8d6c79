"""Watching what is live: monitors, windows, drift, performance, alerts.

A *monitor* exists per (model, environment, alias). Its *reference* is the live version's training part; its *current*
data is the prediction log or a *batch* (a file, or a dataset version), cut into *windows* of time or of rows. What
flows in is counted once, by bucket of time, slice and column (`counting`, `cells`), and so is the reference
(`reference`); a window of any length is a sum. Only performance, and columns that cells are too coarse for, read rows
again (`kept_rows`).

Per feature a window has the effect of each drift test beside the threshold that keeps the promise of so many false
alerts a month (`thresholds`), and beside the window before. Slices tell where to look and raise nothing by themselves:
the promise would have to be shared out among them. With too few rows, or where no effect could be beyond its threshold,
a window says "not enough data", which is neither health nor drift. Measuring (`core.drift`) and deciding (`alerting`)
are kept apart.

What no window tells, silence and faults, is asked every few minutes by rules (`alert_rules`: `liveness`, `faults`) that
learn what is usual; without a past, or without samples, a rule opens nothing and closes nothing. Whatever raises an
alert does so through `alert_log`; those of windows follow what goes on from one window to the next (`window_alerts`).

How well a model does in a window is *realised* where labels have come, *estimated* from what the version's labelled
reference taught (`core.estimation`), and *corrected* where both are counted together. An estimate carries what speaks
against it. Labels come late, in any order, twice or corrected; a window is *mature* when nine tenths of those that will
come are in.
"""
