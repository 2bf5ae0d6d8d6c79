"""Answering with live models: the scoring process, its prediction log, batch scoring.

The scoring process reads which version holds an alias on every request (one indexed row), so a swap takes effect
without a restart. A prediction is appended to a spool file before it is answered and sealed into an immutable Parquet
*segment* with a row of its own soon after; a killed process loses none, because the next one seals what it left.
"""
