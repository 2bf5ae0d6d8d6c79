"""How good a run is, and how sure we are.

An *evaluation* is a run scored on one evaluation set: stored per-row predictions, metrics with confidence intervals
and curves computed from them. A *comparison* is paired, on the rows both runs were scored on and neither trained on;
its *verdict* is better, not worse, worse or inconclusive against a margin, always with effect, interval, sample size and
the smallest effect the rows could have shown. Nothing here is ever computed from rounded metrics.
"""
