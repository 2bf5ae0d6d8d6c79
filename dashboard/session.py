"""Who is signed in, the opened workspace, the selection in the address, and one unit of work per action."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NoReturn
from urllib.parse import urlencode, urlsplit

import streamlit as st
from sqlmodel import Session

import core.tables  # noqa: F401 - foreign keys are resolved among tables that are all declared
from core.access import queries as access
from core.database import utc_now
from core.errors import LifecycleError
from core.permissions import Actor, Permission
from core.settings import Settings
from core.workspace import Workspace, open_workspace
from dashboard import entrance
from dashboard.entrance import COOKIE

ENVIRONMENT = Settings.model_config["env_prefix"]
_REFUSED, _DONE = "shell_refused", "shell_done"


@st.cache_resource(show_spinner=False)
def _opened(environment: str) -> Workspace:  # noqa: ARG001 - the cache's key
    return open_workspace(Settings())


def workspace() -> Workspace:
    """The home this process serves; opened once."""
    # Known by the text of the environment: making settings of it takes as long as a query, and a page asks 40 times.
    said = [f"{name}={value}" for name, value in os.environ.items() if name.upper().startswith(ENVIRONMENT)]
    return _opened("\n".join(sorted(said)))


def now() -> datetime:
    """The present moment in UTC."""
    return utc_now()


def cookie_token() -> str | None:
    """The opaque token the browser sent when it connected."""
    return st.context.cookies.get(COOKIE)


def signed_in() -> Actor | None:
    """Whoever the browser's cookie belongs to, looked up anew; None when nobody is signed in."""
    token = cookie_token()
    if not token:
        return None
    with workspace().read() as session:
        return access.actor_of_sign_in(session, token, now())


def actor() -> Actor:
    """The signed-in actor; ends the rerun with a way to sign in when there is none."""
    found = signed_in()
    if found is None:
        ask_to_sign_in()
    return found


def ask_to_sign_in() -> NoReturn:
    """Say that nobody is signed in, offer the way, and end the rerun."""
    st.title("You are signed out", anchor=False)
    st.text("Sign in to go on where you were.")
    st.html(f'<a class="gatehouse-link" target="_self" href="{html.escape(_sign_in_address())}">Sign in</a>')
    st.stop()


def _sign_in_address() -> str:
    """The sign-in page's address, which returns to where the reader is."""
    path = urlsplit(st.context.url or "/").path or "/"
    query = [(key, value) for key in st.query_params for value in st.query_params.get_all(key)]
    return entrance.sign_in_address(path, urlencode(query))


def may(permission: Permission) -> bool:
    """Whether to show what would fail without this permission; the service checks again."""
    return actor().may(permission)


@contextmanager
def act(done: str | None = None, *, in_callback: bool = False) -> Iterator[Session]:
    """One action of the page: one write transaction; a refusal is shown and nothing is kept.

    Parameters
    ----------
    done : str, optional
        What to say once it is committed; shown literally, also after going to another page.
    in_callback : bool
        True inside ``on_click`` and the like: a refusal is then shown at the top of the page that follows.
        Otherwise it is shown here and the rerun ends.
    """
    try:
        with workspace().write() as session:
            yield session
    except LifecycleError as error:
        if in_callback:
            st.session_state[_REFUSED] = str(error)
            return
        from dashboard import panels

        panels.refusal(error)
        st.stop()
    if done:
        tell(done)


def tell(sentence: str) -> None:
    """Say in a toast what was done, now or on the page that comes next."""
    st.session_state[_DONE] = sentence


def show_told() -> None:
    """Show what callbacks and the page before left to say."""
    from dashboard import panels, theme

    if sentence := st.session_state.pop(_DONE, None):
        st.toast(theme.plain(sentence), icon=":material/check:")
    if sentence := st.session_state.pop(_REFUSED, None):
        panels.notice(sentence, "harm")


def page_file(key: str) -> str:
    """The file of a page, relative to ``main.py``: "run" is views/run.py."""
    return f"views/{key}.py"


def open_page(key: str, **query: object) -> NoReturn:
    """Go to a page inside the app: ``open_page("run", run=12)``. Values of None are left out."""
    st.switch_page(page_file(key), query_params=_query(query))


def page_address(key: str, **query: object) -> str:
    """A page's address for a link in text: ``page_address("run", run=12)`` is "/run?run=12"."""
    chosen = _query(query)
    return f"/{key}" + (f"?{urlencode(chosen)}" if chosen else "")


def _query(values: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}


def chosen_id(name: str) -> int | None:
    """A number from the address, ``?run=12``; None when it is missing or not a number."""
    text = st.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def chosen_text(name: str) -> str | None:
    """A text from the address; None when it is missing or empty."""
    return st.query_params.get(name) or None
