"""Registered models, their versions, and which version is live where.

A *model version* is one immutable artifact of a finished run. An *alias* (champion) is a protected pointer in a
*deployment environment*; a *deployment* row is one span of time in which a version held it. The open row (no end) is
what is live; a unique index over open rows makes two champions impossible. Only `governance` calls `service.assign`.
"""
