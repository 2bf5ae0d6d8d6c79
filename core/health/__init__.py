"""How the installation itself is: latency, errors, throughput, memory, disk, queue.

Each process writes a *sample* of its figures about once a minute; pages and alert rules read them. Samples are
telemetry: not audited, thinned to one in ten minutes after a day and one an hour after a week, removed after a quarter.

Scoring counts requests in memory (`traffic`) and hands them over with the next sample, so that no request waits for
the database. Every figure is a level or a rate, never a running total: a mean over any span then means something, and a
process that starts again begins no new count. Rejected: a metrics library with a server of its own (a dependency and a
port more, and nothing that pages or alert rules could read back).
"""
