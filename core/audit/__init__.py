"""The audit log: one line per changed subject, append-only, each line carrying the hash of the one before.

*Event* is one line; *action* is what one transaction did, told by the ``action_id`` its events share. Every service
that changes state calls `service.record` in the same transaction. The chain shows any line edited, inserted, moved or
removed; a cut tail shows only against a checkpoint kept elsewhere. Progress, leases, predictions and cells are not
audited: they are telemetry.

Chosen: hash chain in the same database, because the event and the change must commit together. Rejected: a log file
beside it, which a crash can separate from what it tells.
"""
