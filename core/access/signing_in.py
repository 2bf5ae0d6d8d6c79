"""Signing in with a password: count the attempt, check outside any transaction, open the session."""

from __future__ import annotations

from datetime import datetime

from core.access import passwords, service
from core.workspace import Workspace


def sign_in_with_password(workspace: Workspace, *, name: str, password: str, now: datetime) -> str:
    """Open a browser session for a name and a password; gives the secret its cookie holds.

    Raises
    ------
    PermissionDenied
        They do not belong together, or too many attempts failed.
    """
    with workspace.write() as session:
        password_hash = service.begin_sign_in(session, name=name, now=now)
    password_ok = passwords.verify(password, password_hash)
    with workspace.write() as session:
        return service.sign_in(
            session, name=name, password_ok=password_ok, now=now, hours=workspace.settings.session_hours
        )
