"""The demo's banner: where the story stands, and one click to act as another role."""

from __future__ import annotations

import html

import streamlit as st

from core.access import queries as access
from core.permissions import Actor, Role
from dashboard import reads
from dashboard.entrance import account_of_role

STEPS = (
    "Step 1 of 4: as reviewer, decide the request that waits in the inbox",
    "Step 2 of 4: as operator, look at what drifted under Monitoring",
    "Step 3 of 4: as data-scientist, retrain the champion's set-up on the newest data",
    "Step 4 of 4: as auditor, ask what was live and who allowed it",
)
STEP_OF_ROLE = {Role.REVIEWER: 0, Role.OPERATOR: 1, Role.DATA_SCIENTIST: 2, Role.AUDITOR: 3}


def show(actor: Actor) -> None:
    """The step that fits the role being played, and a button for each other role."""
    step = next((STEP_OF_ROLE[role] for role in Role if role in actor.roles and role in STEP_OF_ROLE), 0)
    accounts = account_of_role(reads.audited(access.list_users))
    # Not "role": the page's sanitiser strips a name that is a property of elements, and the click would name nobody.
    buttons = "".join(
        f'<button name="demo_role" value="{role.value}" title="{html.escape(account.name)}"'
        f"{' disabled' if account.id == actor.user_id else ''}>{role.value}</button>"
        for role, account in accounts.items()
    )
    st.html(
        '<form class="gatehouse-demo" method="post" action="/demo/role">'
        f"<span><b>Demo</b> {html.escape(STEPS[step])}</span><span>Act as {buttons}</span></form>"
    )
