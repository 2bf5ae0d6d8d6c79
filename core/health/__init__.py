"""How the installation itself is: latency, errors, throughput, memory, disk, queue.

Each process writes a *sample* of its figures about once a minute; pages and alert rules read them. Samples are
telemetry: not audited, thinned to one an hour after a week, removed after a quarter.
"""
