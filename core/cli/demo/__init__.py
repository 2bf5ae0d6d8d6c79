"""The demo workspace: a whole story told through the public services, on data whose truth is known."""

from core.cli.demo.story import seed

__all__ = ["seed"]
