"""How far data moved, and from when on that is no chance. PURE.

A *sketch* (`core.statistics.sketches`) counts a column in cells; a *drift test* (`drift_tests`, the catalogue) holds
two counted samples against each other; *calibrating* turns "so many false alerts a month" into thresholds by resampling
the reference, and `window_levels` makes them right for windows of just so many rows. What is watched, when and for whom
is `core.monitoring`'s.
"""
