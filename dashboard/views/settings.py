"""People, one's own account and tokens, and how the system stands."""

import platform
from datetime import timedelta

import streamlit as st

import core
from core.access import passwords, queries, service
from core.access.queries import UserRow
from core.errors import LifecycleError
from core.jobs import processes
from core.jobs.parts import PARTS
from core.permissions import ROLE_PERMISSIONS, Permission, Role
from core.workspace import Workspace
from dashboard import panels, reads, session, theme
from dashboard.panels import Row

ROLE_SENTENCES = {
    Role.VIEWER: "reads everything about data, runs, models and monitoring; comments",
    Role.DATA_SCIENTIST: "adds data, trains, registers, requests promotion",
    Role.REVIEWER: "decides on requests, grants waivers, quarantines data, edits promotion policies",
    Role.OPERATOR: "rolls back, looks after monitors and alerts, starts retraining",
    Role.AUDITOR: "reads everything, the audit log and settings too; verifies",
    Role.ADMINISTRATOR: "looks after people, settings and storage; decides nothing on models",
}
EXPIRIES = {"30 days": 30, "90 days": 90, "1 year": 365, "Never": None}

now = session.now()
actor = session.actor()


@st.dialog("Add a person")
def _add_person() -> None:
    with st.form("settings_add", border=False):
        name = st.text_input("Name", max_chars=200)
        roles = st.pills("Roles", list(Role), selection_mode="multi", format_func=str)
        password = st.text_input("Password, at least 8 characters", type="password", autocomplete="new-password")
        panels.quiet("They can change it under Settings. Without one only this machine's shell can act as them.")
        if st.form_submit_button("Add", type="primary"):
            try:
                kept = passwords.hashed(password) if password else None
            except LifecycleError as error:
                panels.refusal(error)
                st.stop()
            with session.act(f"{name.strip()} can sign in now" if kept else f"{name.strip()} was added") as writing:
                service.add_user(
                    writing, name=name, roles=roles, password=kept, actor=session.actor(), now=session.now()
                )
            st.rerun()


@st.dialog("Change a person")
def _change_person(person: UserRow) -> None:
    st.text(person.name)
    with st.form("settings_change", border=False):
        roles = st.pills("Roles", list(Role), selection_mode="multi", default=list(person.roles), format_func=str)
        active = st.toggle("May sign in", value=person.active)
        password = st.text_input("New password, empty to keep it", type="password", autocomplete="new-password")
        panels.quiet("Roles and the switch take effect at their next click. A new password signs them out everywhere.")
        if st.form_submit_button("Save", type="primary"):
            try:
                kept = passwords.hashed(password) if password else None
            except LifecycleError as error:
                panels.refusal(error)
                st.stop()
            with session.act(f"{person.name} was changed") as writing:
                me, moment = session.actor(), session.now()
                service.set_roles(writing, user_id=person.id, roles=roles, actor=me, now=moment)
                service.set_active(writing, user_id=person.id, active=active, actor=me, now=moment)
                if kept is not None:
                    service.set_password(writing, user_id=person.id, password=kept, actor=me, now=moment)
            st.rerun()


@st.dialog("New token")
def _new_token() -> None:
    if secret := st.session_state.get("settings_secret"):
        panels.notice("Copy it now: it is shown once and never again.", "attention")
        st.code(secret, language=None)
        panels.quiet("Send it as: Authorization: Bearer and the token.")
        if st.button("I have copied it", type="primary"):
            del st.session_state["settings_secret"]
            st.rerun()
        return
    with st.form("settings_token", border=False):
        name = st.text_input("What it is for", max_chars=200)
        expiry = EXPIRIES[st.selectbox("Ends after", list(EXPIRIES), index=1)]
        if st.form_submit_button("Make token", type="primary"):
            with session.act() as writing:
                _token, secret = service.create_token(
                    writing,
                    name=name,
                    actor=session.actor(),
                    now=session.now(),
                    expires_at=None if expiry is None else session.now() + timedelta(days=expiry),
                )
            st.session_state["settings_secret"] = secret
            st.rerun(scope="fragment")


def _revoke(token_id: int, name: str) -> None:
    with session.act(f"The token {name} works no more", in_callback=True) as writing:
        service.revoke_token(writing, token_id=token_id, actor=session.actor(), now=session.now())


@st.dialog("Change your password")
def _change_password() -> None:
    with st.form("settings_password", border=False):
        password = st.text_input("New password, at least 8 characters", type="password", autocomplete="new-password")
        panels.quiet("You are signed out everywhere and sign in again with the new one.")
        if st.form_submit_button("Change it", type="primary"):
            try:
                kept = passwords.hashed(password)
            except LifecycleError as error:
                panels.refusal(error)
                st.stop()
            me = session.actor()
            assert me.user_id is not None
            with session.act("Your password was changed") as writing:
                service.set_password(writing, user_id=me.user_id, password=kept, actor=me, now=session.now())
            st.rerun()


def _people() -> None:
    users = reads.audited(queries.list_users)
    may_edit = actor.may(Permission.USER_EDIT)
    with panels.header("Settings", f"{theme.count(len(users), 'person', 'people')} with an account."):
        if may_edit and st.button("Add a person", type="primary", icon=":material/person_add:"):
            _add_person()
    _choose_section()
    rows = [
        Row(
            {
                "Name": user.name,
                "Roles": ", ".join(user.roles),
                "Sign-in": "Allowed" if user.active else theme.mark("Switched off", "attention"),
                "Since": theme.day(user.created_at),
            }
        )
        for user in users
    ]
    panels.table(rows, key="settings_people")
    if may_edit:
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            chosen = st.selectbox("Person", users, format_func=lambda user: user.name, key="settings_person", width=320)
            if chosen and st.button("Change", key="settings_change_open"):
                _change_person(chosen)
    with st.expander("What each role may do"):
        panels.facts({role.value: ROLE_SENTENCES[role] for role in ROLE_PERMISSIONS})


def _account() -> None:
    with panels.header("Settings", f"{actor.name}: {', '.join(sorted(actor.roles)) or 'no role'}."):
        if actor.may(Permission.TOKEN_CREATE) and st.button("New token", type="primary", icon=":material/key:"):
            st.session_state.pop("settings_secret", None)
            _new_token()
    _choose_section()
    if st.button("Change your password", icon=":material/password:"):
        _change_password()
    if not actor.may(Permission.TOKEN_CREATE) or actor.user_id is None:
        return
    tokens = reads.audited(queries.list_tokens, actor.user_id)
    if not tokens:
        panels.section("No tokens", "A token lets a script act as you over the REST interface, with your roles.")
        return
    panels.section(theme.count(len(tokens), "token"), "Each lets a script act as you, with your roles.")
    for token in tokens:
        assert token.id is not None
        ended = token.revoked_at or (token.expires_at if token.expires_at and token.expires_at <= now else None)
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            with st.container(gap=None):
                st.text(token.name)
                until = f"ended {theme.stamp(ended)}" if ended else f"until {theme.day(token.expires_at)}"
                panels.quiet(f"Made {theme.day(token.created_at)}, {until if token.expires_at or ended else 'no end'}")
            if not ended:
                st.button("Revoke", key=f"settings_revoke_{token.id}", on_click=_revoke, args=(token.id, token.name))


def _system() -> None:
    workspace = session.workspace()
    running = reads.fresh(processes.alive, now)
    roles = {process.role for process in running}
    missing = [role for role in PARTS if role not in roles | {"web"}]
    panels.header("Settings", f"{theme.count(len(running), 'process', 'processes')} running.")
    _choose_section()
    for role in missing:
        panels.notice(f"No {role} is running: {PARTS[role]}. Start it with gatehouse {role}.", "attention")
    panels.table(
        [
            Row(
                {
                    "Process": process.role,
                    "Machine": process.host,
                    "Number": str(process.pid),
                    "Address": process.address or theme.MISSING,
                    "Started": theme.stamp(process.started_at),
                    "Last seen": theme.ago(process.seen_at, now),
                }
            )
            for process in running
        ],
        key="settings_processes",
        right=("Number",),
    )
    panels.section("Storage")
    panels.facts(_storage(workspace))
    panels.section("About")
    panels.facts(
        {
            "Gatehouse": core.__version__,
            "Python": platform.python_version(),
            "Home": str(workspace.home),
            "Database": workspace.engine.dialect.name,
            "Largest upload": f"{workspace.settings.upload_max_mb:,} MiB",
            "A sign-in lasts": f"{workspace.settings.session_hours:g} h",
        }
    )
    panels.quiet("Back up everything with gatehouse backup FILE, and bring it back with gatehouse restore FILE.")


def _storage(workspace: Workspace) -> dict[str, str]:
    sizes = [path.stat().st_size for path in workspace.artifacts.folder.rglob("*") if path.is_file()]
    database = workspace.home / "gatehouse.db"
    return {
        "Stored files": f"{theme.number(len(sizes))}, {theme.size(sum(sizes))}",
        "Database": theme.size(database.stat().st_size) if database.exists() else "on its own server",
    }


SECTIONS = {"account": ("Account", _account)}
if actor.may(Permission.SETTINGS_READ):
    SECTIONS = {"people": ("People", _people), "system": ("System", _system), **SECTIONS}


def _choose_section() -> None:
    if len(SECTIONS) > 1:
        st.segmented_control(
            "Section",
            list(SECTIONS),
            format_func=lambda key: SECTIONS[key][0],
            default=section,
            key="settings_section",
            on_change=_go,
            label_visibility="collapsed",
            required=True,
        )


def _go() -> None:
    st.query_params["view"] = st.session_state["settings_section"]


section = session.chosen_text("view") or ""
section = section if section in SECTIONS else next(iter(SECTIONS))
SECTIONS[section][1]()
