"""Choices that live in the address: a view, a filter, a basket of runs.

The address holds a stable code (``?view=checks``) while the reader sees words. The address wins over what the widget
remembers, so that a link into a page that is open already takes effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.theme import plain


def view(label: str, options: Mapping[str, str], *, name: str = "view") -> str:
    """One of a page's views, as a row of segments; the first is the default and stays out of the address.

    Parameters
    ----------
    label : str
        For assistive technologies; not drawn.
    options : mapping
        Code to words, shown literally.
    name : str
        The query parameter.
    """
    key, codes = _remember(name, list(options))
    picked = st.segmented_control(
        label,
        codes,
        format_func=lambda code: plain(options[code]),
        key=key,
        label_visibility="collapsed",
        required=True,
        on_change=_keep,
        args=(name, key, codes[0], ()),
    )
    return picked or codes[0]


def pick(label: str, options: Mapping[str, str], *, name: str, resets: Sequence[str] = (), width: int = 220) -> str:
    """One of many, as a select box; the first is the default and stays out of the address.

    Parameters
    ----------
    resets : sequence of str
        Query parameters that lose their meaning when this changes, such as the place in a paged list.
    """
    key, codes = _remember(name, list(options))
    words = list(options.values())
    # The browser answers with the words it shows, so two options must not read alike.
    shown = {code: said if words.count(said) == 1 else f"{said}, {code}" for code, said in options.items()}
    picked: str | None = st.selectbox(
        label,
        codes,
        format_func=shown.__getitem__,
        key=key,
        width=width,
        on_change=_keep,
        args=(name, key, codes[0], tuple(resets)),
    )
    return picked or codes[0]


def ids(name: str) -> list[int]:
    """Ids from the address in their order, ``?runs=3,1``; what is no id and what came before is left out."""
    found = (part.strip() for part in st.query_params.get(name, "").split(","))
    return list(dict.fromkeys(int(part) for part in found if part.isascii() and part.isdigit() and len(part) < 18))


def keep_ids(name: str, chosen: Sequence[int]) -> None:
    """Write ids into the address."""
    if chosen:
        st.query_params[name] = joined(chosen)
    else:
        st.query_params.pop(name, None)


def joined(chosen: Sequence[int]) -> str:
    """Ids as the address holds them: "3,1"."""
    return ",".join(str(one) for one in chosen)


def _remember(name: str, codes: list[str]) -> tuple[str, list[str]]:
    key = f"address_{name}"
    wanted = st.query_params.get(name, codes[0])
    st.session_state[key] = wanted if wanted in codes else codes[0]
    return key, codes


def _keep(name: str, key: str, default: str, resets: Sequence[str]) -> None:
    picked = st.session_state[key]
    for other in resets:
        st.query_params.pop(other, None)
    if picked is None or picked == default:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = picked
