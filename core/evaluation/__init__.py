"""How good a run is, and how sure we are.

An *evaluation* is a run scored on one evaluation set: stored per-row predictions, metrics with confidence intervals
and curves computed from them. A *comparison* is paired, on the rows both runs were scored on and neither trained on;
its *verdict* is better, not worse, worse or inconclusive against a margin, always with effect, interval, sample size
and the smallest effect the rows could have shown. Nothing here is ever computed from rounded metrics.

Every metric gives one *influence* per row beside its value: the sum of squares is its variance, and the sum of squared
differences of two runs is the variance of their difference. That one idea serves alone and paired, costs one pass, and
draws no random number. Resampling rows was the alternative: a thousand times the work, an interval that changes with
the seed, and no better coverage at the sizes where the two differ. Where a proportion, a rank or a median has a better
interval in closed form, the catalogue (`metrics`) names that one. tests/benchmarks/interval_coverage.py shows how often
the intervals hold the truth.
"""
