"""What stands around every page: the sidebar's foot, the demo's banner, what an action left to say."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.governance import queries as governance
from core.permissions import Actor
from dashboard import demo_banner, panels, reads, session

LOGO = str(Path(__file__).parent / "static" / "wordmark.svg")
ICON = str(Path(__file__).parent / "static" / "gatehouse.svg")


def sidebar(actor: Actor) -> None:
    """The logo, and at the foot who is signed in, as what, and the way out."""
    st.logo(LOGO, icon_image=ICON)
    with st.sidebar, st.container(key="account", gap="xsmall"):
        st.text(actor.name)
        panels.quiet(", ".join(sorted(actor.roles)) or "no role")
        st.html('<form class="gatehouse-out" method="post" action="/sign-out"><button>Sign out</button></form>')


def top(actor: Actor) -> None:
    """The demo's banner, and what callbacks and the page before left to say."""
    if session.workspace().settings.demo:
        demo_banner.show(actor)
    session.show_told()


def waiting(actor: Actor) -> int:
    """How many things wait for the actor; news that only inform are not counted."""
    return sum(item.kind != "decided" for item in reads.fresh(governance.inbox, actor, session.now()))
