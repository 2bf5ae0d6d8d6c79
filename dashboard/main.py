"""The script behind every page: configuration, who is signed in, navigation by permission. Nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.errors import LifecycleError
from core.permissions import Actor, Permission, Role, require
from dashboard import frame, panels, session

HERE = Path(__file__).parent
ICON = str(HERE / "static" / "gatehouse.svg")


@dataclass(frozen=True)
class Entry:
    """One page.

    Parameters
    ----------
    key : str
        Its file and address: ``views/key.py``, ``/key``.
    title, icon : str
        As in the sidebar.
    needs : Permission
        What it takes to read it; without it the page is hidden.
    group : str or None
        Its heading in the sidebar, "" for the top; None for a page that is only reached from others.
    """

    key: str
    title: str
    icon: str
    needs: Permission
    group: str | None


P = Permission
ENTRIES = (
    Entry("overview", "Overview", ":material/space_dashboard:", P.MODEL_READ, ""),
    Entry("inbox", "Inbox", ":material/inbox:", P.REQUEST_READ, ""),
    Entry("datasets", "Datasets", ":material/database:", P.DATASET_READ, "Develop"),
    Entry("dataset", "Dataset", ":material/database:", P.DATASET_READ, None),
    Entry("intake", "What is this file?", ":material/upload_file:", P.DATASET_READ, None),
    Entry("runs", "Runs", ":material/experiment:", P.RUN_READ, "Develop"),
    Entry("run", "Run", ":material/experiment:", P.RUN_READ, None),
    Entry("new_run", "New run", ":material/play_arrow:", P.RUN_START, None),
    Entry("compare", "Compare", ":material/compare_arrows:", P.RUN_READ, None),
    Entry("models", "Models", ":material/deployed_code:", P.MODEL_READ, "Release"),
    Entry("model", "Model", ":material/deployed_code:", P.MODEL_READ, None),
    Entry("approvals", "Approvals", ":material/approval:", P.REQUEST_READ, "Release"),
    Entry("request", "Promotion request", ":material/approval:", P.REQUEST_READ, None),
    Entry("deployments", "Deployments", ":material/rocket_launch:", P.DEPLOYMENT_READ, "Release"),
    Entry("monitoring", "Monitoring", ":material/monitoring:", P.MONITORING_READ, "Watch"),
    Entry("monitor", "Monitor", ":material/monitoring:", P.MONITORING_READ, None),
    Entry("incident", "Incident", ":material/emergency_home:", P.MONITORING_READ, None),
    Entry("automation", "Automation", ":material/schedule:", P.RUN_READ, "Watch"),
    Entry("audit", "Audit", ":material/history:", P.AUDIT_READ, "Govern"),
    Entry("settings", "Settings", ":material/settings:", P.MODEL_READ, "Govern"),
)

LANDING = ((Role.REVIEWER, "inbox"), (Role.AUDITOR, "audit"), (Role.OPERATOR, "monitoring"))


def landing(actor: Actor, entries: list[Entry]) -> str:
    """The page a person starts on, by the first of their roles that has one of its own."""
    readable = {entry.key for entry in entries}
    return next((key for role, key in LANDING if role in actor.roles and key in readable), "overview")


def built() -> list[Entry]:
    """The pages there are."""
    return [entry for entry in ENTRIES if (HERE / session.page_file(entry.key)).exists()]


def pages_for(actor: Actor) -> list[Entry]:
    """The pages the actor may read."""
    return [entry for entry in built() if actor.may(entry.needs)]


def denied(entry: Entry, actor: Actor) -> st.Page:
    """A page the actor may not read: in no menu, and whoever follows a link to it is told why it stays closed."""

    def say_why() -> None:
        panels.header(f"{entry.title} is not open to you")
        require(actor, entry.needs)

    return st.Page(say_why, title=entry.title, url_path=entry.key, visibility="hidden")


def main() -> None:
    """Show the chosen page in its frame."""
    st.set_page_config(page_title="Gatehouse", page_icon=ICON, layout="wide", initial_sidebar_state="auto")
    panels.style()
    actor = session.signed_in()
    if actor is None:
        st.navigation([st.Page(session.ask_to_sign_in, title="Sign in", default=True)], position="hidden").run()
        return
    entries = pages_for(actor)
    start = landing(actor, entries)
    waiting = frame.waiting(actor)

    def start_page() -> None:
        session.open_page(start)

    pages: dict[str, list[st.Page]] = {"": [st.Page(start_page, title="Start", default=True, visibility="hidden")]}
    for entry in entries:
        counted = entry.key == "inbox" and waiting
        page = st.Page(
            session.page_file(entry.key),
            title=f"Inbox :gray-badge[{waiting}]" if counted else entry.title,
            icon=entry.icon,
            url_path=entry.key,
            visibility="hidden" if entry.group is None else "visible",
        )
        pages.setdefault(entry.group or "", []).append(page)
    pages[""] += [denied(entry, actor) for entry in built() if entry not in entries]
    chosen = st.navigation(pages, expanded=True)
    title = next((entry.title for entry in ENTRIES if entry.key == chosen.url_path), "Start")
    st.set_page_config(page_title=f"{title} · Gatehouse")
    frame.sidebar(actor)
    frame.top(actor)
    try:
        chosen.run()
    except LifecycleError as error:
        panels.refusal(error)
    except Exception as error:  # a defect is logged and told, never shown raw
        panels.fault(error)


main()
