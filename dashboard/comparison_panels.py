"""The parts of the page that holds runs against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from core.evaluation.metrics import METRICS, metrics_for
from core.evaluation.paired_tests import PAIRED_TESTS
from core.evaluation.tables import Comparison, Verdict
from core.evaluation.verdicts import rows_in_words
from core.training import report
from core.training import side_by_side as sides
from core.training.queries import RunRecord
from core.training.side_by_side import Side, label_of
from dashboard import panels, session, theme
from dashboard.charts import comparing as charts
from dashboard.theme import Role

MOST_METRICS = 5
MOST_COLUMNS = 7
WORDS = sides.WORDS
MARKS: dict[Verdict, Role] = {
    Verdict.BETTER: "candidate",
    Verdict.NOT_WORSE: "healthy",
    Verdict.WORSE: "harm",
    Verdict.INCONCLUSIVE: "neutral",
}
MEANINGS = {
    Verdict.BETTER: "The whole interval lies above zero.",
    Verdict.NOT_WORSE: "A loss as large as the margin is ruled out.",
    Verdict.WORSE: "The whole interval lies below zero, and a loss beyond the margin is not ruled out.",
    Verdict.INCONCLUSIVE: "A loss beyond the margin is possible, and so is none: more rows would be needed.",
}


def verdicts(baseline: RunRecord, others: Sequence[RunRecord], found: dict[int, Comparison], *, metric: str) -> None:
    """Each candidate's difference from the baseline, drawn and said."""
    title, colours = METRICS[metric].title, theme.colours()
    known = [record for record in others if record.run.id in found]
    if not known:
        return
    rows = [
        charts.Difference(
            # The table below names the algorithm; beside the figure it would be cut.
            label=f"Run {record.run.id}",
            effect=one.effect,
            low=one.low,
            high=one.high,
            word=WORDS[Verdict(one.verdict)],
            harm=one.verdict == Verdict.WORSE,
        )
        for record in known
        if (one := found.get(record.run.id or 0))
    ]
    any_one = next(iter(found.values()))
    tried = max(one.n_candidates for one in found.values())
    allowing = f" allowing for {tried} candidates tried" if tried > 1 else ""
    panels.section(
        sides.finding(baseline, others, found, metric=metric),
        "Paired: each row is answered by both, and only the difference counts. The dot is the difference, the line "
        f"its 95 % interval{allowing}; the shaded band is the margin of {theme.number(any_one.margin)} that still "
        "counts as not worse.",
    )
    panels.figure(
        charts.differences(rows, margin=any_one.margin, metric=title, colours=colours),
        key="compare_verdicts",
        alt=f"Differences in {title} against run {baseline.run.id}: " + "; ".join(charts.in_words(row) for row in rows),
    )
    pvalues = sides.pvalues_of(found)
    ranked = sorted(known, key=lambda record: -found[record.run.id or 0].effect)
    panels.table(
        [
            panels.Row(
                {
                    "Candidate": label_of(record),
                    "Verdict": theme.mark(WORDS[word].capitalize(), MARKS[word]),
                    "Difference": with_interval(one),
                    "p-value": theme.pvalue(pvalues[record.run.id or 0]),
                    "Rows": theme.number(one.n_rows) + (f", {one.n_left_out:,} left out" if one.n_left_out else ""),
                    "Detectable": theme.number(one.smallest_effect) if one.smallest_effect else theme.MISSING,
                    "Rows needed": needed(one),
                },
                page="run",
                query={"run": record.run.id},
            )
            for record in ranked
            if (one := found.get(record.run.id or 0)) and (word := Verdict(one.verdict))
        ],
        key="compare_verdict_table",
        right=("Difference", "Detectable"),
    )
    explained(tried)
    other_tests(ranked, found)


def explained(tried: int) -> None:
    """What each column of the verdicts means."""
    said = [f"{WORDS[verdict].capitalize()}: {meaning}" for verdict, meaning in MEANINGS.items()]
    said.append(
        "p-value: how often a difference this large would show if the two were equally good"
        + (f"; corrected by Holm's method for {tried} candidates." if tried > 1 else ".")
    )
    if tried > 1:
        said.append(
            f"With {tried} candidates one may look better by luck, so each interval is wider than for one alone: "
            "of all of them together, the chance of any false verdict stays at 5 %."
        )
    said.append("Rows left out: either model was trained on them, so they would flatter it.")
    said.append("Detectable: the smallest difference these rows would have shown four times in five.")
    said.append("Rows needed: how many would show a difference as large as the margin four times in five.")
    with st.expander("What does this mean?"):
        st.markdown("\n\n".join(f":gray[{theme.plain(one)}]" for one in said))


def other_tests(records: Sequence[RunRecord], found: Mapping[int, Comparison]) -> None:
    """What the other methods say of the same rows, and whether they agree."""
    pairs = [(record, found[record.run.id or 0]) for record in records]
    pairs = [(record, one) for record, one in pairs if one.tests]
    if not pairs:
        return
    # Drawn once it is opened: with many candidates it is the longest table of the page.
    opened = st.expander("Other tests on the same rows", key="compare_other_tests", on_change="rerun")
    if not opened.open:
        return
    with opened:
        for record, one in pairs:
            panels.quiet(f"{label_of(record)}: {sides.agreement(one)}")
        panels.table(
            [
                panels.Row(
                    {"Candidate": label_of(record), **cells_of_test(test, n_candidates=one.n_candidates)},
                )
                for record, one in pairs
                for test in one.tests
            ],
            key="compare_tests",
            right=("Difference",),
        )
        meanings_of_tests([test for _, one in pairs for test in one.tests])


def cells_of_test(test: Mapping[str, Any], *, n_candidates: int = 1) -> dict[str, str]:
    """One test's row of a table."""
    return {
        "Test": str(test.get("title") or test.get("key", "")),
        "Says": {1: "a gain", -1: "a loss", 0: "no certain difference", None: theme.MISSING}[
            sides.says(test, n_candidates=n_candidates)
        ],
        "Difference": tested(test),
        "p-value": theme.pvalue(test.get("pvalue")),
    }


def meanings_of_tests(tests: Sequence[Mapping[str, Any]]) -> None:
    """What each kind of test among these asks."""
    kinds = {str(test.get("key")) for test in tests}
    for method in PAIRED_TESTS.values():
        if method.key in kinds:
            panels.quiet(f"{method.title}: {method.sentence}")


def tested(test: Mapping[str, Any]) -> str:
    """A test's difference with its interval, where it has them."""
    effect, low, high = (test.get(name) for name in ("effect", "low", "high"))
    if low is None or high is None:
        return theme.difference(effect)
    return f"{theme.difference(effect)} [{theme.difference(low)}, {theme.difference(high)}]"


def needed(one: Comparison) -> str:
    """How many rows would tell, where these could not."""
    if one.rows_needed is None or one.verdict != Verdict.INCONCLUSIVE:
        return theme.MISSING
    words = rows_in_words(one.rows_needed).removesuffix(" rows")
    return words[:1].lower() + words[1:]


def with_interval(one: Comparison) -> str:
    """+0.011 [+0.006, +0.016]."""
    return f"{theme.difference(one.effect)} [{theme.difference(one.low)}, {theme.difference(one.high)}]"


def all_runs(scored: Sequence[Side], baseline: RunRecord, found: Mapping[int, Comparison], *, metric: str) -> None:
    """Every run by the metrics the reader chooses, with intervals; a value alone never makes a run the best."""
    if not scored:
        return
    known = [side.scored.metrics[metric].value for side in scored if metric in side.scored.metrics]
    panels.section(
        f"Each run on the same rows: {METRICS[metric].title} "
        + (f"from {theme.number(min(known))} to {theme.number(max(known))}" if known else "is not known"),
        "The brackets hold each run's own 95 % interval. Overlapping brackets do not mean a tie, and the highest value "
        "alone does not mean better: the paired verdict decides.",
    )
    offered = {
        entry.key: entry.title
        for entry in metrics_for(baseline.run.task)
        if any(entry.key in side.scored.metrics for side in scored)
    }
    wanted = chosen_metrics(offered, first=metric)
    shown = sides.shown_metrics(scored, wanted, first=metric, most=MOST_METRICS)
    panels.table(
        [
            panels.Row(
                {
                    "Run": label_of(side.record),
                    "Verdict": standing(side, baseline, found),
                    **{
                        f"{entry.title} {'↑' if entry.greater_is_better else '↓'}": theme.interval(
                            value.value, value.low, value.high
                        )
                        if (value := side.scored.metrics.get(entry.key))
                        else theme.MISSING
                        for entry in shown
                    },
                },
                page="run",
                query={"run": side.run_id},
            )
            for side in scored
        ],
        key="compare_runs",
        right=[f"{entry.title} {'↑' if entry.greater_is_better else '↓'}" for entry in shown],
    )
    panels.quiet("↑ higher is better, ↓ lower is better.")


def standing(side: Side, baseline: RunRecord, found: Mapping[int, Comparison]) -> str:
    """Baseline, or the verdict against it."""
    if side.record.run.id == baseline.run.id:
        return theme.mark("Baseline", "champion")
    one = found.get(side.run_id)
    if one is None:
        return "not worked out"
    return theme.mark(WORDS[Verdict(one.verdict)].capitalize(), MARKS[Verdict(one.verdict)])


def chosen_metrics(offered: Mapping[str, str], *, first: str) -> list[str]:
    """The metrics of the table, from the address and back into it."""
    key = "compare_shown"
    others = {code: words for code, words in offered.items() if code != first}
    asked = [code for code in st.query_params.get("shown", "").split(",") if code in others]
    st.session_state[key] = asked[: MOST_METRICS - 1] or list(others)[: MOST_METRICS - 1]

    def keep() -> None:
        if st.session_state[key]:
            st.query_params["shown"] = ",".join(st.session_state[key])
        else:
            st.query_params.pop("shown", None)

    picked: list[str] = st.multiselect(
        f"Metrics beside {theme.plain(offered.get(first, first))}",
        list(others),
        format_func=lambda code: others[code],
        max_selections=MOST_METRICS - 1,
        key=key,
        on_change=keep,
    )
    return picked


def differing(records: Sequence[RunRecord], baseline: RunRecord) -> None:
    """What was done differently, first; what was the same, folded."""
    chosen = sides.choices(records, baseline)
    differs = [one for one in chosen if one.differs]
    same = [one for one in chosen if not one.differs]
    panels.section(sides.differing_sentence(differs))
    names = [label_of(one) + (" (baseline)" if one is baseline else "") for one in records]
    if differs and len(records) < MOST_COLUMNS:
        panels.table(
            [panels.Row({"Choice": one.title, **dict(zip(names, one.values, strict=True))}) for one in differs],
            key="compare_differing",
        )
    elif differs:
        by_run(names, records, differs[: MOST_COLUMNS - 1], key="compare_differing")
        if more := differs[MOST_COLUMNS - 1 :]:
            with st.expander(f"They also differ in {theme.count(len(more), 'other choice')}"):
                for at in range(0, len(more), MOST_COLUMNS - 1):
                    by_run(names, records, more[at : at + MOST_COLUMNS - 1], key=f"compare_differing_{at}")
    if same:
        features = ", ".join(baseline.run.features)
        said = {one.title: features if one.title == "Features" else one.values[0] for one in same}
        with st.expander(f"The same in all: {theme.count(len(same), 'choice')}"):
            st.markdown("\n\n".join(f":gray[{theme.plain(title)}] {theme.plain(one)}" for title, one in said.items()))


def by_run(names: Sequence[str], records: Sequence[RunRecord], chosen: Sequence[sides.Choice], *, key: str) -> None:
    """What was chosen, a row a run."""
    panels.table(
        [
            panels.Row(
                {"Run": name, **{one.title: one.values[place] for one in chosen}},
                page="run",
                query={"run": record.run.id},
            )
            for place, (name, record) in enumerate(zip(names, records, strict=True))
        ],
        key=key,
    )


def link(query: Mapping[str, object]) -> None:
    """The address that shows exactly this again, to be copied."""
    address = (st.context.url or "/compare").partition("?")[0]
    with st.popover("Copy link", icon=":material/link:"):
        st.code(
            f"{address}?{urlencode({name: str(value) for name, value in query.items() if value})}",
            language=None,
            wrap_lines=True,
        )
        panels.quiet("Opens these runs with this baseline, metric, evaluation set, curve and axes.")


def exports(
    records: Sequence[RunRecord],
    baseline: RunRecord,
    scored: Sequence[Side],
    found: Mapping[int, Comparison],
    *,
    metric: str,
    set_id: int,
) -> None:
    """The table as CSV, and everything as one page that needs no server."""
    run_ids = [record.run.id or 0 for record in records]
    name = "compare-" + "-".join(map(str, run_ids[:6]))

    def as_csv() -> bytes:
        import pyarrow as pa

        from core.datasets.exporting import to_csv

        return to_csv(pa.table(sides.csv_columns(scored, found, baseline, records)))

    def as_html() -> str:
        with session.workspace().read() as db:
            return report.comparison_report(
                db,
                run_ids=run_ids,
                baseline_id=baseline.run.id or 0,
                metric=metric,
                set_id=set_id,
                now=session.now(),
            )

    with st.popover("Export", icon=":material/download:"):
        st.download_button("Table as CSV", as_csv, f"{name}.csv", "text/csv", key="compare_csv", on_click="ignore")
        st.download_button(
            "Report as one page", as_html, f"{name}.html", "text/html", key="compare_report", on_click="ignore"
        )
        panels.quiet("The report opens without a server, prints on A4 and asks for nothing off the page.")
