"""Every read a page makes goes through one of three functions; the only cache of data is here.

``audited`` for what changes only together with an audit event: kept until anyone, anywhere, writes one. ``immutable``
for what never changes once made, such as stored predictions. ``fresh`` for telemetry (job progress, who is alive,
predictions) and for what depends on the moment or the reader.

Rows come back detached from their session: plain values, safe to keep for the length of a rerun.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import streamlit as st
from sqlmodel import Session

from core.audit import service as audit
from dashboard.session import workspace

P = ParamSpec("P")
R = TypeVar("R")


def fresh(query: Callable[Concatenate[Session, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a query now: ``fresh(jobs.job, job_id)``."""
    with workspace().read() as session:
        result = query(session, *args, **kwargs)
        session.expunge_all()
        return result


def audited(query: Callable[Concatenate[Session, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a query unless its answer is known for the present head of the audit log.

    Only for queries whose answer changes solely with audited writes and does not depend on the moment. Arguments must
    have a `repr` that tells them apart: ids, texts, None, tuples of them.
    """
    with workspace().read() as session:
        head = audit.head_number(session)
    key = (workspace().settings.url, head, _name(query), repr(args), repr(sorted(kwargs.items())))
    return cast(R, _by_head(key, lambda: fresh(query, *args, **kwargs)))


def immutable(read: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function of stored, unchanging things: ``immutable(load, store, sha256)``.

    Arguments are told apart by their `repr`, an artifact store by its folder.
    """
    key = (workspace().settings.url, _name(read), repr(args), repr(sorted(kwargs.items())))
    return cast(R, _by_id(key, lambda: read(*args, **kwargs)))


def _name(function: Callable[..., object]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


@st.cache_data(max_entries=2000, show_spinner=False)
def _by_head(key: tuple[object, ...], _read: Callable[[], Any]) -> Any:  # noqa: ARG001 - the cache's key
    return _read()


@st.cache_data(max_entries=200, show_spinner=False)
def _by_id(key: tuple[object, ...], _read: Callable[[], Any]) -> Any:  # noqa: ARG001 - the cache's key
    return _read()
