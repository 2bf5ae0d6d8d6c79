"""One registered model: its versions, a version's evidence, card and lineage, and asking for its promotion."""

import streamlit as st

from core.access import queries as access
from core.datasets import queries as datasets
from core.evaluation import queries as evaluation
from core.evaluation.metrics import METRICS, primary_metric
from core.evaluation.tables import Task
from core.governance import queries as governance
from core.governance import service
from core.governance.cards import CARD_SECTIONS, blanks
from core.permissions import Permission
from core.registry import queries as registry
from core.registry.tables import Alias, Environment, ModelVersion
from core.training import queries as training
from dashboard import panels, reads, session, theme
from dashboard.panels import Moment, Row

VIEWS = {"versions": "Versions", "card": "Card", "lineage": "Lineage", "deployments": "Deployments"}

model_id = session.chosen_id("model")
listed = next((row for row in reads.audited(registry.list_models) if row.id == model_id), None)
if listed is None:
    panels.empty_state(
        "There is no such model",
        "It may have been named wrongly in the address.",
        button="See all models",
        page="models",
    )
    st.stop()

found = listed
rows = reads.audited(registry.version_rows, found.id)
number = session.chosen_id("version") or found.latest_number
chosen = next((row for row in rows if row.number == number), rows[0])
version = reads.audited(registry.version, chosen.id)
label = f"{found.name} v{chosen.number}"


def primary_of(run_id: int) -> str:
    """The primary metric on the newest evaluation, with its interval."""
    evaluations = reads.audited(evaluation.evaluations_of_run, run_id)
    if not evaluations:
        return theme.MISSING
    key = primary_metric(Task(found.task))
    values = reads.audited(evaluation.metric_values, tuple(one.id or 0 for one in evaluations))
    value = values.get(evaluations[0].id or 0, {}).get(key)
    return theme.interval(value.value, value.low, value.high) if value else theme.MISSING


@st.dialog("Request promotion", width="medium")
def request(asked: ModelVersion) -> None:
    live = f"v{found.live_number}" if found.live_number else "nothing"
    st.text(f"Make {label} champion in production, replacing {live}.")
    names = reads.audited(governance.who_can_approve, asked.id or 0, session.actor().user_id)
    if names:
        panels.quiet(f"Can approve: {', '.join(names)}. Candidate and champion are scored on the same rows first.")
    else:
        panels.notice(
            "Nobody can approve this: every reviewer took part in it, or there is none.",
            "attention",
            detail="Ask an administrator to add a reviewer under Settings; the request can be sent before that.",
        )
    comment = st.text_area(
        "Why should it go live?", key="request_comment", placeholder="What is better, what was checked, what to watch"
    )
    if st.button("Send request", type="primary", key="request_send"):
        with session.act("Request sent") as writing:
            made = service.request_promotion(
                writing,
                version_id=asked.id or 0,
                environment=Environment.PRODUCTION,
                alias=Alias.CHAMPION,
                comment=comment,
                actor=session.actor(),
                now=session.now(),
            )
        session.open_page("request", request=made.id)


with panels.header(
    found.name,
    f"Predicts {found.target} ({found.task}). "
    + (
        f"v{found.live_number} is live since {theme.day(found.live_since)}."
        if found.live_number
        else "Nothing is live."
    ),
):
    if (
        session.may(Permission.REQUEST_CREATE)
        and chosen.number != found.live_number
        and st.button(f"Request promotion of v{chosen.number}", type="primary", icon=":material/approval:")
    ):
        request(version)

if found.description:
    st.text(found.description)

view = st.segmented_control(
    "View",
    list(VIEWS),
    default="versions",
    format_func=VIEWS.__getitem__,
    key="view",
    bind="query-params",
    label_visibility="collapsed",
    required=True,
)

if view == "versions":
    names = {row.dataset_version_id for row in rows}
    labels = {key: reads.audited(datasets.version_label, key) for key in names}
    panels.table(
        [
            Row(
                {
                    "Version": f"v{row.number}",
                    "State": theme.mark(theme.words(row.live_as[0]), "champion") if row.live_as else "registered",
                    METRICS[primary_metric(Task(found.task))].title: primary_of(row.run_id),
                    "Algorithm": theme.words(row.algorithm),
                    "Trained on": labels[row.dataset_version_id],
                    "Registered": f"{theme.day(row.registered_at)} by {row.registered_by or 'shell'}",
                },
                page="run",
                query={"run": row.run_id},
            )
            for row in rows
        ],
        key="versions",
    )
    if len(rows) > 1:
        with st.container(horizontal=True, gap="small"):
            picked = st.selectbox(
                "Version shown on this page",
                [row.number for row in rows],
                index=[row.number for row in rows].index(chosen.number),
                format_func=lambda one: f"v{one}",
                width=220,
            )
            if picked != chosen.number:
                st.query_params["version"] = str(picked)
                st.rerun()
        if st.button("Compare the two newest", icon=":material/compare_arrows:"):
            newest, before = rows[0], rows[1]
            session.open_page("compare", runs=f"{before.run_id},{newest.run_id}", baseline=before.run_id)

if view == "card":
    card = reads.audited(governance.card, chosen.id)
    missing = blanks(card.sections)
    panels.section(
        f"{theme.count(len(missing), 'section')} of {label}'s card {'is' if len(missing) == 1 else 'are'} blank"
        if missing
        else f"{label}'s card is complete",
        "Drafted from the records; what only people can know stays blank until somebody writes it.",
    )
    if session.may(Permission.CARD_EDIT):
        with st.form("card", border=False):
            written = {
                key: st.text_area(section.title, card.sections.get(key, ""), help=section.prompt, key=f"card_{key}")
                for key, section in CARD_SECTIONS.items()
            }
            if st.form_submit_button("Save the card"):
                with session.act("Card saved") as writing:
                    service.edit_card(
                        writing,
                        version_id=chosen.id,
                        sections=written,
                        revision=card.revision,
                        actor=session.actor(),
                        now=session.now(),
                    )
                st.rerun()
    else:
        for key, section in CARD_SECTIONS.items():
            panels.quiet(section.title)
            st.text(card.sections.get(key, "") or theme.MISSING)
    panels.record_stamp("Edited" if card.edited_by else "Drafted", card.edited_at, card.edited_by)

if view == "lineage":
    lineage = reads.audited(registry.lineage, chosen.id)
    people = reads.audited(access.user_names)
    record = reads.fresh(training.run, lineage.run_id)
    panels.section(f"Where {label} comes from")
    moments = [
        Moment(
            ":material/database:",
            f"{reads.audited(datasets.version_label, source.dataset_version_id)} was added"
            + (", quarantined since" if source.quarantined else ""),
            people.get(source.uploaded_by or source.added_by or 0, ""),
            reads.audited(datasets.version, source.dataset_version_id).created_at,
        )
        for source in reversed(lineage.sources)
    ]
    moments.append(
        Moment(
            ":material/experiment:",
            f"Run {lineage.run_id} trained {theme.words(record.algorithm).lower()} on it",
            people.get(lineage.launched_by or 0, ""),
            record.finished_at,
        )
    )
    moments.append(
        Moment(
            ":material/deployed_code:",
            f"Registered as {label}",
            people.get(lineage.registered_by or 0, ""),
            version.registered_at,
        )
    )
    panels.timeline(moments)
    with st.container(horizontal=True, gap="small"):
        if st.button("Open the run", icon=":material/experiment:"):
            session.open_page("run", run=lineage.run_id)
        if st.button("Open the data", icon=":material/database:"):
            data = reads.audited(datasets.version, lineage.dataset_version_id)
            session.open_page("dataset", dataset=data.dataset_id, version=data.number)
    panels.technical(
        {
            "Model file": theme.short_hash(version.model_sha256),
            "Data": theme.short_hash(reads.audited(datasets.version, lineage.dataset_version_id).content_hash),
            "Code": record.code_version,
            "Seed": str(record.seed),
        }
    )

if view == "deployments":
    held = reads.audited(registry.deployments, found.id)
    if not held:
        panels.empty_state(
            "This model was never live", "It goes live when a promotion request for a version is approved."
        )
    panels.timeline(
        [
            Moment(
                ":material/undo:" if row.cause == "rollback" else ":material/rocket_launch:",
                f"v{row.version_number} became {row.alias} in {row.environment}"
                + (f": {row.reason}" if row.reason else "")
                + (f" (until {theme.stamp(row.to_at)})" if row.to_at else " (live)"),
                row.deployed_by or "",
                row.from_at,
            )
            for row in held
        ]
    )
