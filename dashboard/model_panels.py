"""The parts of a registered model's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.access import queries as access
from core.datasets import queries as datasets
from core.evaluation import queries as evaluation
from core.evaluation.metrics import METRICS, primary_metric
from core.evaluation.tables import Task
from core.evaluation.threshold_choices import threshold_sentence
from core.governance import queries as governance
from core.governance import service
from core.governance.cards import CARD_SECTIONS, blanks
from core.governance.queries import Card
from core.permissions import Permission
from core.registry import queries as registry
from core.registry.queries import LiveRow, ModelRow, VersionRow
from core.registry.tables import Alias, Cause, Environment
from core.training import queries as training
from core.training.algorithms import ALGORITHMS
from dashboard import panels, reads, session, theme
from dashboard.panels import Moment, Row

MOST_THRESHOLDS_SAID = 5


@st.dialog("Request promotion", width="medium")
def ask_for_promotion(model: ModelRow, version: VersionRow) -> None:
    """Who could approve it, why it should go live, and sending it."""
    live = f", replacing v{model.live_number}" if model.live_number else "; nothing is live yet"
    st.text(f"Make {model.name} v{version.number} champion in production{live}.")
    names = reads.audited(governance.who_can_approve, version.id, session.actor().user_id)
    if names:
        compared = (
            "Candidate and champion are scored on the same rows first."
            if model.live_number
            else "It is held against a trivial model first."
        )
        panels.quiet(f"Can approve: {', '.join(names)}. {compared}")
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
                version_id=version.id,
                environment=Environment.PRODUCTION,
                alias=Alias.CHAMPION,
                comment=comment,
                actor=session.actor(),
                now=session.now(),
            )
        session.open_page("request", request=made.id)


def versions(model: ModelRow, rows: Sequence[VersionRow]) -> None:
    """Every version with its primary metric; its name opens where it comes from."""
    labels = {key: reads.audited(datasets.version_label, key) for key in {row.dataset_version_id for row in rows}}
    some = any(row.threshold for row in rows)
    panels.table(
        [
            Row(
                {
                    "Version": f"v{row.number}",
                    "State": theme.mark(", ".join(map(theme.words, row.live_as)), "champion")
                    if row.live_as
                    else theme.mark("Registered", "neutral"),
                    METRICS[primary_metric(Task(model.task))].title: primary_of(row.run_id, Task(model.task)),
                    **({"Positive from": threshold_of(row.threshold)} if some else {}),
                    "Algorithm": ALGORITHMS[row.algorithm].title,
                    "Trained on": labels[row.dataset_version_id],
                    "Registered": f"{theme.day(row.registered_at)} by {row.registered_by or 'the shell'}",
                },
                page="model",
                query={"model": model.id, "version": row.number, "view": "lineage"},
            )
            for row in rows
        ],
        key="versions",
    )
    for row in rows[:MOST_THRESHOLDS_SAID]:
        if row.threshold:
            panels.quiet(f"v{row.number}: {threshold_sentence(row.threshold)}")
    others = len(rows) > 1 and rows[0].run_id != rows[1].run_id
    if others and st.button("Compare the two newest", icon=":material/compare_arrows:"):
        newest, before = rows[0], rows[1]
        session.open_page("compare", runs=f"{before.run_id},{newest.run_id}", baseline=before.run_id)


def threshold_of(stored: Mapping[str, Any] | None) -> str:
    """The score from which on a version calls a row positive."""
    return f"{stored['value']:.6g}" if stored else "highest score"


def primary_of(run_id: int, task: Task) -> str:
    """The task's primary metric on the newest evaluation, with its interval."""
    evaluations = reads.audited(evaluation.evaluations_of_run, run_id)
    if not evaluations:
        return theme.MISSING
    values = reads.audited(evaluation.metric_values, tuple(one.id or 0 for one in evaluations))
    value = values.get(evaluations[0].id or 0, {}).get(primary_metric(task))
    return theme.interval(value.value, value.low, value.high) if value else theme.MISSING


def card(label: str, version_id: int) -> None:
    """A version's card as it stands, and writing it."""
    found = reads.audited(governance.card, version_id)
    if threshold := reads.audited(registry.version, version_id).threshold:
        panels.quiet(threshold_sentence(threshold))
    missing = len(blanks(found.sections))
    panels.section(
        f"{theme.count(missing, 'section')} of {label}'s card {'is' if missing == 1 else 'are'} blank"
        if missing
        else f"{label}'s card is complete",
        "Drafted from the records; what only people can know stays blank until somebody writes it.",
    )
    if not session.may(Permission.CARD_EDIT):
        panels.quiet("Writing it takes the role data-scientist.")
    elif st.button("Edit the card", icon=":material/edit:", key="model_card_edit"):
        edit_card(label, found)
    card_sections(found)
    panels.record_stamp("Edited" if found.edited_by else "Drafted", found.edited_at, found.edited_by)


def card_sections(found: Card) -> None:
    """Every section of a card, blank ones as such."""
    for key, section in CARD_SECTIONS.items():
        with st.container(gap=None):
            panels.quiet(section.title)
            st.text(found.sections.get(key, "") or f"{theme.MISSING} nobody has written this yet")


@st.dialog("Edit the card", width="large")
def edit_card(label: str, opened: Card) -> None:
    """Write the sections; ``opened`` stays the card as it was read, so that nobody's words are overwritten unseen."""
    panels.quiet(f"The card of {label}. Open requests for this version go stale when it changes.")
    with st.form("card", border=False):
        written = {
            key: st.text_area(section.title, opened.sections.get(key, ""), help=section.prompt, key=f"card_{key}")
            for key, section in CARD_SECTIONS.items()
        }
        if st.form_submit_button("Save the card", type="primary"):
            with session.act("Card saved") as writing:
                service.edit_card(
                    writing,
                    version_id=opened.version_id,
                    sections=written,
                    revision=opened.revision,
                    actor=session.actor(),
                    now=session.now(),
                )
            st.rerun()


def lineage(label: str, version_id: int) -> None:
    """From the upload to the registered version, step by step with who and when."""
    found = reads.audited(registry.lineage, version_id)
    version = reads.audited(registry.version, version_id)
    people = reads.audited(access.user_names)
    run = reads.fresh(training.run, found.run_id)
    data = reads.audited(datasets.version, found.dataset_version_id)
    panels.section(f"Where {label} comes from")
    moments = [
        Moment(
            ":material/database:",
            f"{reads.audited(datasets.version_label, source.dataset_version_id)} was added"
            + (", quarantined since" if source.quarantined else ""),
            people.get(source.uploaded_by or source.added_by or 0, "the shell"),
            reads.audited(datasets.version, source.dataset_version_id).created_at,
        )
        for source in reversed(found.sources)
    ]
    moments.append(
        Moment(
            ":material/experiment:",
            f"Run {found.run_id} trained a {ALGORITHMS[run.algorithm].title.lower()} on it",
            people.get(found.launched_by or 0, "the shell"),
            run.finished_at,
        )
    )
    moments.append(
        Moment(
            ":material/deployed_code:",
            f"Registered as {label}",
            people.get(found.registered_by or 0, "the shell"),
            version.registered_at,
        )
    )
    panels.timeline(moments)
    with st.container(horizontal=True, gap="small"):
        if st.button("Open the run", icon=":material/experiment:"):
            session.open_page("run", run=found.run_id)
        if st.button("Open the data", icon=":material/database:"):
            session.open_page("dataset", dataset=data.dataset_id, version=data.number)
    panels.technical(
        {
            "Model file": theme.short_hash(version.model_sha256),
            "Data": theme.short_hash(data.content_hash),
            "Code": run.code_version or theme.MISSING,
            "Seed": str(run.seed),
        }
    )


def deployment_history(rows: Sequence[LiveRow]) -> None:
    """Every span in which a version held an alias, in the order given, with who decided it and why."""
    panels.timeline(
        [
            Moment(
                ":material/undo:" if row.cause == Cause.ROLLBACK else ":material/rocket_launch:",
                f"{row.model_name} v{row.version_number} "
                + ("became" if row.to_at else "is")
                + f" {row.alias} in {row.environment}"
                + (", rolled back" if row.cause == Cause.ROLLBACK else "")
                + (f", until {theme.stamp(row.to_at)}" if row.to_at else ""),
                f"{row.deployed_by or 'the shell'}" + (f": {row.reason}" if row.reason else ""),
                row.from_at,
            )
            for row in rows
        ]
    )
