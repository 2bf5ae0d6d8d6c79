"""Gatehouse's rules and records: everything a page, a script or an HTTP client can do, without a user interface.

Folders are layers, highest first: ``cli, api, automation, collaboration, governance, monitoring, serving, registry,
training, evaluation, features, datasets, jobs, access, audit, statistics``. A lower one never imports a higher one;
what it needs from above arrives as a value.
"""

__version__ = "0.1.0"
