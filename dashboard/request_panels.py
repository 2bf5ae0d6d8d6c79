"""The evidence on the decision page, in the order it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import streamlit as st

from core.access import queries as access
from core.collaboration import queries as collaboration
from core.collaboration import service as remarks
from core.datasets import queries as datasets
from core.datasets.tables import Outcome
from core.evaluation.fairness import CRITERIA
from core.evaluation.metrics import METRICS
from core.evaluation.tables import Verdict
from core.evaluation.threshold_choices import threshold_sentence
from core.evaluation.verdicts import rows_in_words
from core.governance.cards import blanks
from core.governance.gates import GATES
from core.governance.queries import DecisionPage
from core.governance.tables import DecisionKind
from core.permissions import Permission
from core.registry import queries as registry
from core.registry.behaviour import BEHAVIOUR_TESTS
from core.training import queries as training
from core.training.side_by_side import agreeing
from dashboard import (
    analysis_panels,
    change_panels,
    comparison_panels,
    model_panels,
    panels,
    reads,
    request_answers,
    session,
    theme,
)
from dashboard.behaviour_panels import LOOKS
from dashboard.charts import comparing as charts
from dashboard.comparison_panels import MEANINGS, WORDS
from dashboard.panels import Moment, Row
from dashboard.request_answers import ANSWERS
from dashboard.theme import Role

FOUR_FIFTHS = {
    "below": "Four-fifths rule: not kept; the ratio's interval lies below 0.8.",
    "above": "Four-fifths rule: kept; the ratio's interval lies above 0.8.",
    "cannot_be_told": "Four-fifths rule: cannot be told with these rows; 0.8 lies in the ratio's interval.",
}
SETS = {"fixed": "fixed evaluation set", "latest": "latest evaluation set"}


def verdict(page: DecisionPage) -> None:
    """Candidate against champion in words and as a figure, one line per evaluation set; else against the dummy."""
    if page.comparisons:
        compared(page, page.comparisons)
    elif page.dummy:
        panels.section(
            f"{page.version_label} would be the first champion",
            "Nothing is live to compare with, so it is held against the trivial model, which ignores every feature.",
        )
    if page.dummy:
        panels.quiet(f"Against the trivial model: {page.dummy['sentence']}")
    if not page.changed:
        thresholds(page)
    if page.metrics.get("candidate"):
        with st.expander("All metrics"):
            all_metrics(page)


def compared(page: DecisionPage, comparisons: Sequence[dict[str, Any]]) -> None:
    """The paired differences, drawn and said."""
    first = comparisons[0]
    title = METRICS[first["metric"]].title
    by_verdict = [
        (word, [SETS[one["set"]] for one in found])
        for word, found in groupby(comparisons, key=lambda one: WORDS[one["verdict"]])
    ]
    said = " and ".join(f"{word} on the {' and the '.join(sets)}" for word, sets in by_verdict)
    panels.section(
        f"{page.version_label} is {said}",
        f"The difference in {title} to {page.replaces_label} on the same rows, with its 95 % interval. The shaded "
        f"part is the margin of {first['margin']:g} within which the policy counts it as not worse.",
    )
    rows = [
        charts.Difference(
            SETS[one["set"]],
            one["effect"],
            one["low"],
            one["high"],
            WORDS[one["verdict"]],
            harm=one["verdict"] == "worse",
        )
        for one in comparisons
    ]
    panels.figure(
        charts.differences(rows, margin=first["margin"], metric=title, colours=theme.colours()),
        key="request_verdict",
        alt="; ".join(charts.in_words(row) for row in rows),
    )
    for one in comparisons:
        left_out = f", {one['n_left_out']:,} left out because a model had trained on them" if one["n_left_out"] else ""
        power = "no row tells the two apart by this metric, so no difference could have shown"
        if one["smallest_effect"]:
            power = f"the smallest difference these rows could have shown is {theme.number(one['smallest_effect'])}"
        panels.quiet(
            f"{theme.words(SETS[one['set']])}: {theme.difference(one['effect'])} [{theme.difference(one['low'])}, "
            f"{theme.difference(one['high'])}] on {theme.count(one['n_rows'], 'row')}{left_out}; "
            f"{power}."
            f"{_more_rows(one)}"
        )
    other_tests(comparisons)


def _more_rows(one: dict[str, Any]) -> str:
    """How many rows would settle what these could not."""
    if one["verdict"] != Verdict.INCONCLUSIVE or one.get("rows_needed") is None:
        return ""
    return f" {rows_in_words(one['rows_needed'])} would settle a difference as large as the margin."


def other_tests(comparisons: Sequence[dict[str, Any]]) -> None:
    """Whether other tests of the same rows say what the verdict says; what each of them gives, folded."""
    tested = [one for one in comparisons if one.get("tests")]
    if not tested:
        return
    for one in tested:
        agree = agreeing(one["tests"], low=one["low"], high=one["high"])
        where = f" of the {SETS[one['set']]}" if len(tested) > 1 else ""
        panels.quiet(f"Other tests on the same rows{where}: {agree[:1].lower()}{agree[1:]}")
    with st.expander("What the verdict means, and the other tests"):
        for verdict in dict.fromkeys(Verdict(one["verdict"]) for one in comparisons):
            panels.quiet(f"{WORDS[verdict].capitalize()}: {MEANINGS[verdict]}")
        panels.table(
            [
                Row(
                    ({"Set": theme.words(SETS[one["set"]])} if len(tested) > 1 else {})
                    | comparison_panels.cells_of_test(test)
                )
                for one in tested
                for test in one["tests"]
            ],
            key="request_tests",
            right=("Difference",),
        )
        panels.quiet("Smallest difference: these rows would have shown it four times in five.")
        panels.quiet("p-value: how often a difference this large would show if the two were equally good.")
        comparison_panels.meanings_of_tests([test for one in tested for test in one["tests"]])


def thresholds(page: DecisionPage) -> None:
    """From which score on each of the two calls a row positive, where one of them has a threshold of its own."""
    ids = [(page.version_label, page.version_id), (page.replaces_label, page.replaces_id)]
    stored = [(label, reads.audited(registry.version, key).threshold) for label, key in ids if key is not None]
    if not any(threshold for _, threshold in stored):
        return
    for label, threshold in stored:
        decides = threshold_sentence(threshold) or "the class of the highest score is predicted."
        panels.quiet(f"{label}: {decides}")
    panels.quiet("Decisions, their fairness and their metrics on this page are those made in this way.")


def costs(page: DecisionPage) -> None:
    """What a row costs on average by what the dataset says a mistake costs."""
    after, before = ((page.metrics.get(side) or {}).get("average_cost") for side in ("candidate", "champion"))
    if after:
        against = f", with {page.replaces_label} {theme.interval(**before)}" if before else ""
        panels.quiet(
            f"By what a mistake costs in this dataset, a row costs {theme.interval(**after)} on average with "
            f"{page.version_label}{against}."
        )


def all_metrics(page: DecisionPage) -> None:
    """Every metric of both, with intervals."""
    champion = page.metrics.get("champion") or {}

    def shown(values: dict[str, Any], key: str) -> str:
        if key not in values:
            return theme.MISSING
        return theme.interval(values[key]["value"], values[key]["low"], values[key]["high"])

    panels.table(
        [
            Row(
                {
                    "Metric": METRICS[key].title,
                    page.version_label: shown(page.metrics["candidate"], key),
                    **({page.replaces_label: shown(champion, key)} if page.replaces_label else {}),
                    "Better": "higher" if METRICS[key].greater_is_better else "lower",
                }
            )
            for key in page.metrics["candidate"]
            if key in METRICS
        ],
        key="request_metrics",
    )


def gates(page: DecisionPage) -> None:
    """What blocks and what warns, open, with waivers; what passed folded to a count."""
    if not page.gates:
        return
    attention = [gate for gate in page.gates if gate.blocks or gate.waived_by or gate.outcome == Outcome.FAILED]
    rest = [gate for gate in page.gates if gate not in attention]
    panels.section(
        f"Blocking: {page.n_blocking or 'none'}. Warnings: {page.n_warnings or 'none'}.",
        f"By promotion policy {page.policy_number}.",
    )
    for gate in sorted(attention, key=lambda gate: not gate.blocks):
        if gate.waived_by:
            stands = f"Waived by {gate.waived_by} until {theme.day(gate.waived_until)}: {gate.waiver_reason}"
        else:
            stands = "It blocks an approval." if gate.blocks else "It warns and does not block."
        role: Role = "neutral" if gate.waived_by else "attention"
        ended = theme.words(gate.outcome).lower()
        panels.notice(gate.explanation, role, detail=f"Gate “{gate.title}” {ended}. {stands}")
        if gate.code == "behaviour_suite":
            behaviour_failed(page)
        if gate.blocks and page.may_waive and st.button("Waive this gate", key=f"waive_{gate.code}"):
            request_answers.waive(page, gate)
    if not rest:
        return
    passed = sum(gate.outcome == Outcome.PASSED for gate in rest)
    with st.expander(f"{passed} of {theme.count(len(page.gates), 'gate')} passed"):
        for gate in rest:
            with st.container(gap="xxsmall"):
                panels.status(
                    f"{GATES[gate.code].title if gate.code in GATES else gate.title}: "
                    f"{theme.words(gate.outcome).lower()}",
                    "healthy" if gate.outcome == Outcome.PASSED else "neutral",
                )
                panels.quiet(gate.explanation)


def behaviour_failed(page: DecisionPage) -> None:
    """What each behaviour test found that did not pass."""
    for one in (page.behaviour or {}).get("outcomes", []):
        if one["outcome"] in (Outcome.FAILED, Outcome.SKIPPED):
            panels.quiet(f"{one['title']}: {one['explanation']}")


def behaviour(page: DecisionPage) -> None:
    """Every test of the behaviour suite as it ended for the candidate, folded."""
    if not page.behaviour or not page.behaviour["outcomes"]:
        return
    outcomes = page.behaviour["outcomes"]
    passed = sum(one["outcome"] == Outcome.PASSED for one in outcomes)
    with st.expander(
        f"Behaviour suite {page.behaviour['suite']}: {passed} of {theme.count(len(outcomes), 'test')} passed"
    ):
        for one in outcomes:
            with st.container(gap="xxsmall"):
                panels.status(f"{one['title']}: {theme.words(one['outcome']).lower()}", LOOKS[one["outcome"]])
                panels.quiet(f"{BEHAVIOUR_TESTS[one['test']].sentence} {one['explanation']}")


def changed_decisions(page: DecisionPage) -> None:
    """How many rows are answered differently, to the better and the worse, with the worst slice named."""
    if not page.changed:
        return
    n, rows = page.changed["n_changed"], page.changed["n_rows"]
    panels.section(
        f"{n:,} of {theme.count(rows, 'decision')} {'changes' if n == 1 else 'change'} "
        f"({theme.percent(n / rows if rows else 0)}): "
        f"{page.changed['n_corrected']:,} corrected, {page.changed['n_broken']:,} broken",
        f"Rows of the fixed evaluation set that {page.version_label} decides otherwise than {page.replaces_label}. "
        "Corrected: wrong before, right now. Broken: right before, wrong now.",
    )
    thresholds(page)
    costs(page)
    if page.changed_by_slice:
        changed_by_slice(page)
    examples(page)


def changed_by_slice(page: DecisionPage) -> None:
    """Where decisions change, the slice that loses most named."""
    worst = page.changed_by_slice[0]
    if worst["broken"] > worst["corrected"]:
        panels.quiet(
            f"Worst slice: {worst['slice']}, {worst['corrected']:,} corrected and {worst['broken']:,} broken of "
            f"{theme.count(worst['n'], 'row')}."
        )
    else:
        panels.quiet("In no slice are more decisions broken than corrected.")
    with st.expander(f"By slice: {theme.count(len(page.changed_by_slice), 'slice')}"):
        panels.table(
            [
                Row(
                    {
                        "Slice": one["slice"],
                        "Rows": theme.number(one["n"]),
                        "Corrected": theme.number(one["corrected"]),
                        "Broken": theme.number(one["broken"]),
                        "Net": theme.difference(float(one["corrected"] - one["broken"]), 0),
                    }
                )
                for one in page.changed_by_slice
            ],
            key="request_slices",
            right=("Rows", "Corrected", "Broken", "Net"),
        )


def examples(page: DecisionPage) -> None:
    """The clearest cases that change and what moved them, folded; or the click that has them looked for."""
    fixed = next((one.get("evaluation_set_id") for one in page.comparisons if one["set"] == "fixed"), None)
    if fixed is None or page.replaces_id is None or not page.changed or not page.changed["n_changed"]:
        return
    record = reads.audited(training.run_record, page.run_id)
    scored = next((one for one in record.evaluations if one.evaluation.evaluation_set_id == fixed), None)
    if scored is None:
        return
    options: dict[str, Any] = {"baseline_run_id": reads.audited(registry.version, page.replaces_id).run_id}
    at = {"before": page.thresholds.get("champion"), "after": page.thresholds.get("candidate")}
    if any(threshold is not None for threshold in at.values()):
        options["thresholds"] = at
    found = analysis_panels.known(scored, "changes", options)
    if found is None:
        with st.expander("Examples of what changes"):
            analysis_panels.document(record, scored, "changes", options, button="Find examples")
        return
    change_panels.examples(found, "broken", "Broken: the clearest cases")
    change_panels.examples(found, "corrected", "Corrected: the clearest cases")


def fairness(page: DecisionPage) -> None:
    """The worst gap between groups before and after, by sensitive column, the widest first; other criteria folded."""
    said: set[str] = set()
    by_column = [[*gaps] for _, gaps in groupby(page.fairness, key=lambda gap: gap["column"])]
    for gaps in sorted(by_column, key=lambda found: -max(gap.get("after") or 0.0 for gap in found)):
        (worst, *others), column = gaps, gaps[0]["column"]
        panels.section(f"Fairness by {column}{gap_moved(worst)}")
        panels.quiet(worst["sentence"])
        meaning = CRITERIA.get(worst.get("criterion", ""))
        if meaning and meaning.title not in said:
            panels.quiet(f"{meaning.title} asks: {meaning.sentence}")
            said.add(meaning.title)
        if rule := four_fifths(gaps):
            panels.quiet(rule)
        if others:
            with st.expander(f"{theme.count(len(others), 'more criterion', 'more criteria')} by {theme.plain(column)}"):
                for gap in others:
                    panels.quiet(gap["sentence"])


def gap_moved(gap: Mapping[str, Any]) -> str:
    """Where a gap was and is; it widened or narrowed only where the intervals lie apart."""
    before, after = gap.get("before"), gap.get("after")
    if after is None:
        return ""
    now = theme.number(after)
    if before is None:
        return f": a gap of {now}"
    if gap["low"] > gap["before_high"]:
        return f": the gap widens from {theme.number(before)} to {now}"
    if gap["high"] < gap["before_low"]:
        return f": the gap narrows from {theme.number(before)} to {now}"
    return f": a gap of {now}, not shown to differ from {theme.number(before)} before"


def four_fifths(gaps: Sequence[Mapping[str, Any]]) -> str:
    """How the four-fifths rule reads for a column, with its ratio; empty where it was not judged."""
    judged = next((gap for gap in gaps if gap.get("four_fifths")), {})
    rule = FOUR_FIFTHS.get(judged.get("four_fifths", ""), "")
    if not rule or judged.get("ratio") is None:
        return rule
    return (
        f"{rule} {judged['lowest']} is called positive "
        f"{theme.interval(judged['ratio'], judged['ratio_low'], judged['ratio_high'], 2)} times as often as "
        f"{judged['highest']}."
    )


def surroundings(page: DecisionPage) -> None:
    """What changed in the data, the drift then and now, and the way back."""
    if not page.replaces_label:
        panels.section("No live version to hold the data against")
    elif page.data_changes:
        panels.section("What changed in the data")
    else:
        panels.section("The data is the same as the live version's")
    for sentence in page.data_changes[:5]:
        st.text(sentence)
    if page.drift or page.drift_now or page.replaces_label:
        frozen = page.drift["sentence"] if page.drift else "no window had been computed when this was requested."
        panels.quiet(f"Drift when requested: {frozen}")
    if page.drift_now and page.drift_now != page.drift:
        panels.quiet(f"Drift now, which binds nothing: {page.drift_now['sentence']}")
    if page.way_back:
        tested = (
            f"one was last done on {theme.day(page.way_back.tested_at)}"
            if page.way_back.tested_at
            else "none was ever tried here"
        )
        panels.section(
            f"The way back is {page.way_back.label}",
            f"An operator makes it live again by a rollback on Deployments; {tested}.",
        )
        if page.way_back.warning:
            panels.notice(page.way_back.warning, "attention")
    elif not page.replaces_label:
        panels.section("There is no way back yet", "Nothing was live before; a rollback has nowhere to go.")


def folded(page: DecisionPage) -> None:
    """Card, lineage and discussion."""
    missing = blanks(page.card.sections)
    stands = theme.count(len(missing), "blank section") if missing else "complete"
    with st.expander(f"Model card: {stands}"):
        model_panels.card_sections(page.card)
    people = reads.audited(access.user_names)
    with st.expander("Lineage"):
        for source in page.lineage.sources:
            name = reads.audited(datasets.version_label, source.dataset_version_id)
            st.text(
                f"{name}, uploaded by {people.get(source.uploaded_by or 0, 'the shell')}"
                + (", quarantined" if source.quarantined else "")
            )
        st.text(f"Run {page.run_id}, launched by {people.get(page.lineage.launched_by or 0, 'the shell')}")
        if st.button("Open the run", icon=":material/experiment:"):
            session.open_page("run", run=page.run_id)
    said = reads.audited(collaboration.comments, "promotion_request", page.request_id)
    with st.expander(f"Discussion: {theme.count(len(said), 'comment')}"):
        panels.timeline(
            [Moment(":material/chat:", one.body, people.get(one.author_id, ""), one.written_at) for one in said]
        )
        if session.may(Permission.COMMENT_ADD):
            add_comment(page.request_id)
        elif not said:
            panels.quiet("Nothing was said yet.")


def add_comment(request_id: int) -> None:
    """A form that adds to the discussion."""
    with st.form("comment", border=False, clear_on_submit=True):
        body = st.text_area("Add a comment", key="comment_body")
        if st.form_submit_button("Add"):
            with session.act("Comment added") as writing:
                remarks.add_comment(
                    writing,
                    subject_kind="promotion_request",
                    subject_id=request_id,
                    body=body,
                    actor=session.actor(),
                    now=session.now(),
                )
            st.rerun()


def decisions(page: DecisionPage) -> None:
    """Who decided what so far, and the hashes it rests on."""
    if page.decisions:
        panels.section("Decisions")
        panels.timeline(
            [
                Moment(
                    ANSWERS[DecisionKind(one.kind)].icon,
                    theme.words(one.kind)
                    + (f": {one.comment}" if one.comment else "")
                    + ("" if one.counts else " (on earlier evidence)"),
                    one.user,
                    one.decided_at,
                )
                for one in page.decisions
            ]
        )
    panels.technical(
        {
            "Request": str(page.request_id),
            "Evidence": theme.short_hash(page.evidence_digest),
            "Prepared": theme.stamp(datetime.fromisoformat(page.prepared_at)) if page.prepared_at else theme.MISSING,
            "Policy": str(page.policy_number),
        }
    )
