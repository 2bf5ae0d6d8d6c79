"""Every refusal Gatehouse makes, as one tree.

::

    LifecycleError
    ├── NotFound
    ├── AlreadyExists
    ├── InvalidTransition        a state machine has no such move
    ├── GatesFailed              blocking gates did not pass, and nobody waived them
    ├── StaleRevision            somebody else changed it first
    ├── PermissionDenied
    │   └── ConflictOfInterest   the role may, this person may not: they took part
    ├── InvalidInput             (also a ValueError)
    │   ├── SchemaMismatch       columns or types differ from what was declared
    │   ├── InsufficientData     too few rows for an honest answer
    │   └── UnreadableFile       a file that cannot be read exactly
    ├── NotApplicable            the question has no answer for this kind of thing
    ├── ArtifactCorrupted        stored bytes no longer match their hash, or hold a type that is not allowed
    └── JobCancelled             raised inside a job's handler once cancelling was asked for

A message says what was given, what was expected and what to do next. Pages, the command line and the HTTP edges
catch `LifecycleError` and show that message; anything else is a defect.
"""

from __future__ import annotations


class LifecycleError(Exception):
    """A refusal with a message meant for a person."""


class NotFound(LifecycleError):
    """There is no such thing.

    Parameters
    ----------
    kind : str
        The thing's kind in words, "dataset version".
    key : object
        What was asked for.
    hint : str, optional
        What to do next.
    """

    def __init__(self, kind: str, key: object, hint: str = "") -> None:
        self.kind, self.key = kind, key
        super().__init__(f"There is no {kind} {key}." + (f" {hint}" if hint else ""))


class AlreadyExists(LifecycleError):
    """A thing of this name or content is there already."""


class InvalidTransition(LifecycleError):
    """A state machine has no such move.

    Parameters
    ----------
    kind : str
        The thing's kind in words.
    current, wanted : str
        The state it is in and the one asked for.
    """

    def __init__(self, kind: str, current: str, wanted: str) -> None:
        self.kind, self.current, self.wanted = kind, current, wanted
        super().__init__(f"This {kind} is {current.replace('_', ' ')}; it cannot become {wanted.replace('_', ' ')}.")


class GatesFailed(LifecycleError):
    """Blocking gates did not pass, and nobody waived them."""


class StaleRevision(LifecycleError):
    """Somebody else changed the thing after it was read."""


class PermissionDenied(LifecycleError):
    """The actor's roles do not allow this."""


class ConflictOfInterest(PermissionDenied):
    """The actor's roles allow this, but they took part in what is decided."""


class InvalidInput(LifecycleError, ValueError):
    """Something given cannot be used."""


class SchemaMismatch(InvalidInput):
    """Columns or types differ from what was declared."""


class InsufficientData(InvalidInput):
    """Too few rows for an honest answer."""


class UnreadableFile(InvalidInput):
    """A file that cannot be read exactly.

    Parameters
    ----------
    message : str
        What was found, what was expected and what to do next.
    line : int, optional
        The line of the file, counted from 1, where known.
    """

    def __init__(self, message: str, *, line: int | None = None) -> None:
        self.line = line
        super().__init__(message if line is None else f"Line {line:,}: {message}")


class NotApplicable(LifecycleError):
    """The question has no answer for this kind of thing."""


class ArtifactCorrupted(LifecycleError):
    """Stored bytes no longer match their hash, or hold a type that is not allowed."""


class JobCancelled(LifecycleError):
    """Raised inside a job's handler once cancelling was asked for."""
