"""The parts of the page that holds runs against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from core.evaluation.metrics import METRICS, metrics_for
from core.evaluation.paired_tests import PAIRED_TESTS
from core.evaluation.tables import Comparison, Task, Verdict
from core.evaluation.verdicts import rows_in_words
from core.training import report
from core.training import side_by_side as sides
from core.training.algorithms import ALGORITHMS
from core.training.queries import RunRecord
from core.training.side_by_side import Side, label_of
from dashboard import analysis_panels, panels, selection, session, theme
from dashboard.charts import comparing as charts
from dashboard.theme import Role

MOST_CURVES = 8
MOST_METRICS = 5
MOST_COLUMNS = 7
MOST_SLICES = 12
MOVERS = 3
LOOKS = {
    "curves": "Curves",
    "trade_offs": "Trade-offs",
    "parameters": "Parameters",
    "decisions": "Decisions",
}
# What the boxes of each look are called in the address.
ANSWERS: dict[str, tuple[str, ...]] = {"curves": ("curve",), "trade_offs": ("x", "y"), "decisions": ("changed",)}
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
CURVES = {
    "roc": "ROC",
    "precision_recall": "Precision and recall",
    "gain": "Gain",
    "calibration": "Calibration",
    "residuals": "Residuals",
    "predicted_true": "Predicted and true",
}
CURVE_SENTENCES = {
    "roc": "Further up and to the left finds more positives with fewer false alarms.",
    "precision_recall": "Further right finds more; higher up means fewer false alarms.",
    "gain": "How many of the positives are found when only the likeliest rows are looked at.",
    "calibration": "On the dotted line, of a hundred rows predicted at 30 % thirty are positive.",
    "residuals": "A narrow hill over zero means predictions close to the truth, without a lean.",
    "predicted_true": "On the dotted line a prediction is exact.",
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


def closer(
    scored: Sequence[Side], baseline: RunRecord, found: Mapping[int, Comparison], *, metric: str
) -> dict[str, str | None]:
    """One further look at the runs, by the reader's choice; gives what the address needs to show it again.

    Only the chosen one is worked out and sent: together they are most of the page.
    """
    offered = {code: title for code, title in LOOKS.items() if _OFFERED[code](scored, baseline, metric)}
    if not offered:
        return {}
    st.space("small")
    look = selection.view("Look closer", offered, name="look")
    match look:
        case "curves":
            overlaid(scored, baseline)
        case "trade_offs":
            trade_offs(scored, baseline, metric=metric)
        case "parameters":
            over_parameters(scored, baseline, metric=metric)
        case _:
            changed(scored, baseline, found)
    # What the boxes show, not what the address holds: a default may be another once more is worked out.
    boxes = {name: st.session_state.get(f"address_{name}") for name in ANSWERS.get(look, ())}
    others = {name: st.query_params.get(name) for names in ANSWERS.values() for name in names if name not in boxes}
    return {"look": look, **boxes, **others}


def curves_of(scored: Sequence[Side]) -> dict[str, str]:
    """The kinds of curve that are stored of every run."""
    return {
        code: words for code, words in CURVES.items() if all(side.scored.evaluation.curves.get(code) for side in scored)
    }


def overlaid(scored: Sequence[Side], baseline: RunRecord) -> None:
    """The runs' curves on one figure, each with its band."""
    offered = curves_of(scored)
    drawn = first_with_baseline(scored, baseline, MOST_CURVES)
    heading = st.container()
    code = selection.pick("Curve", offered, name="curve")
    with heading:
        panels.section(
            sides.curves_finding(code, [side.scored.evaluation.curves[code] for side in drawn]),
            f"The baseline and the first {MOST_CURVES - 1} others of {len(scored)} runs are drawn."
            if len(scored) > MOST_CURVES
            else "",
        )
    curves = [
        charts.Curve(
            f"Run {side.run_id}", side.scored.evaluation.curves[code], is_baseline=side.record.run.id == baseline.run.id
        )
        for side in drawn
    ]
    panels.figure(
        charts.overlaid(curves, code, colours=theme.colours(), target=baseline.run.target),
        key=f"compare_curve_{code}",
        alt=f"{offered[code]} curves of {', '.join(label_of(side.record) for side in drawn)}",
    )
    banded = any(curve.data.get("low") for curve in curves)
    panels.quiet(
        CURVE_SENTENCES[code]
        + " The dashed line is the baseline."
        + (" The shade is each curve's 95 % band, point by point." if banded else "")
    )


def first_with_baseline(scored: Sequence[Side], baseline: RunRecord, most: int) -> list[Side]:
    """At most so many runs, the baseline first among them wherever it stood."""
    base = [side for side in scored if side.record.run.id == baseline.run.id]
    others = [side for side in scored if side.record.run.id != baseline.run.id]
    return [*base, *others][:most]


def trade_offs(scored: Sequence[Side], baseline: RunRecord, *, metric: str) -> None:
    """Any two of metrics, latency, size and training time, with the runs that no other run beats on both."""
    offered = {axis.key: axis for axis in sides.axes(scored)}
    ordered = [metric, *(key for key in offered if key != metric)] if metric in offered else list(offered)
    upward_first = next((key for key in ("latency", "size") if key in offered), ordered[1])
    place_of_heading = st.container()
    with st.container(horizontal=True):
        across = selection.pick("Across", {key: offered[key].title for key in ordered}, name="x")
        others = [upward_first, *(key for key in ordered if key != upward_first)]
        upward = selection.pick("Upward", {key: offered[key].title for key in others}, name="y")
    both = [(side, x, y) for side in scored if (x := sides.place(side, across)) and (y := sides.place(side, upward))]
    x_axis, y_axis = offered[across], offered[upward]
    front = sides.pareto_front(
        [(x.value, y.value) for _, x, y in both],
        greater_x=x_axis.greater_is_better,
        greater_y=y_axis.greater_is_better,
    )
    points = [
        charts.Point(
            f"Run {side.run_id}",
            x.value,
            y.value,
            x_ends=ends(x),
            y_ends=ends(y),
            is_baseline=side.record.run.id == baseline.run.id,
            on_front=on_front,
        )
        for (side, x, y), on_front in zip(both, front, strict=True)
    ]
    if not points:
        return
    on = [point.label[4:] for point in points if point.on_front]
    with place_of_heading:
        panels.section(
            f"No other run is ahead of run {on[0]} on either"
            if len(on) == 1
            else f"Runs {', '.join(on)} trade one for the other",
            "Front: no other run is ahead on both. Lines are 95 % intervals; where they overlap, the order may be "
            "chance, and a run just behind the front may be level with it.",
        )
    panels.figure(
        charts.plane(
            points,
            x_title=f"{x_axis.title} ({x_axis.direction})",
            y_title=f"{y_axis.title} ({y_axis.direction})",
            colours=theme.colours(),
        ),
        key="compare_plane",
        alt="; ".join(charts.point_in_words(point) for point in points),
    )
    if len(points) > charts.MOST_NAMED:
        panels.quiet("Named are the baseline and the front; point at another to see which it is.")
    missing = [str(side.run_id) for side in scored if side not in [one for one, _, _ in both]]
    if missing:
        panels.quiet(f"Not known for run {', '.join(missing)}.")


def ends(place: sides.Place) -> tuple[float, float] | None:
    """A place's interval, where it has one."""
    return None if place.low is None or place.high is None else (place.low, place.high)


def over_parameters(scored: Sequence[Side], baseline: RunRecord, *, metric: str) -> None:
    """Runs of one algorithm as lines over the parameters that differ among them, ending at the metric."""
    algorithm, family, rulers = family_of(scored, baseline, metric)
    entry = METRICS[metric]
    rulers.append(charts.Ruler(entry.title, tuple(side.scored.metrics[metric].value for side in family)))
    panels.section(
        f"What {ALGORITHMS[algorithm].title} was tried with",
        f"Each line is one run, from its parameters to its {entry.title} at the right "
        f"({'higher' if entry.greater_is_better else 'lower'} is better).",
    )
    panels.figure(
        charts.parallel(
            rulers,
            [f"Run {side.run_id}" for side in family],
            [side.record.run.id == baseline.run.id for side in family],
            colours=theme.colours(),
        ),
        key="compare_parallel",
        alt="; ".join(
            f"run {side.run_id}: " + ", ".join(f"{ruler.title} {ruler.values[place]}" for ruler in rulers)
            for place, side in enumerate(family)
        ),
    )


def family_of(
    scored: Sequence[Side], baseline: RunRecord, metric: str
) -> tuple[str, Sequence[Side], list[charts.Ruler]]:
    """The algorithm most of the runs are of, those runs, and its parameters that differ among them."""
    families: dict[str, list[Side]] = {}
    for side in scored:
        if metric in side.scored.metrics:
            families.setdefault(side.record.run.algorithm, []).append(side)
    algorithm, family = max(families.items(), key=lambda one: len(one[1]), default=("", []))
    if len(family) < 2:
        return algorithm, family, []
    family = first_with_baseline(family, baseline, MOST_CURVES)
    rulers = [
        charts.Ruler(parameter.title, values)
        for parameter in ALGORITHMS[algorithm].parameters
        if len(set(values := tuple(level(side.record.run.parameters.get(parameter.key)) for side in family))) > 1
    ]
    return algorithm, family, rulers


def level(value: object) -> float | str | None:
    """A parameter's value as a place on its axis."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return float(value) if isinstance(value, int | float) else str(value)


def changed(scored: Sequence[Side], baseline: RunRecord, found: Mapping[int, Comparison]) -> None:
    """The decisions of one candidate that are not the baseline's: how many, for whom, and the clearest cases."""
    others = {str(side.run_id): side for side in scored if side.record.run.id != baseline.run.id}
    heading = st.container()
    first = sorted(others, key=lambda one: -found[int(one)].effect if int(one) in found else 0.0)
    names = {one: label_of(others[one].record) for one in first}
    side = others[selection.pick("Decisions of", names, name="changed", width=320)]
    one = found.get(side.run_id)
    counted = one.changed if one is not None else None
    document = analysis_panels.document(
        side.record,
        side.scored,
        "changes",
        {"baseline_run_id": baseline.run.id or 0},
        button="Work out who is affected",
    )
    counted = document or counted
    with heading:
        panels.section(
            f"Run {side.run_id} decides {counted['n_changed']:,} of {counted['n_rows']:,} rows differently "
            f"({theme.percent(counted['n_changed'] / max(1, counted['n_rows']))}): {counted['n_corrected']:,} "
            f"corrected, {counted['n_broken']:,} broken"
            if counted
            else "Which decisions change",
            "Corrected: wrong by the baseline, right now. Broken: right by the baseline, wrong now.",
        )
    if document:
        by_slice(document["by_slice"])
        examples(document, "broken", "Broken: the clearest cases")
        examples(document, "corrected", "Corrected: the clearest cases")


def decides(scored: Sequence[Side], baseline: RunRecord) -> bool:
    """Whether there are decisions of the baseline and of another run."""
    return baseline.run.task != Task.REGRESSION and len(scored) > 1 and any(one.record is baseline for one in scored)


def by_slice(entries: Sequence[Mapping[str, Any]]) -> None:
    """Where decisions change, the slices that lose most first; those where none does are left out."""
    entries = [entry for entry in entries if entry["changed"]]
    panels.table(
        [
            panels.Row(
                {
                    "Slice": entry["slice"],
                    "Rows": theme.number(entry["n"]),
                    "Changed": f"{theme.number(entry['changed'])} "
                    f"({theme.percent(entry['changed'] / max(1, entry['n']))})",
                    "Corrected": theme.number(entry["corrected"]),
                    "Broken": theme.number(entry["broken"]),
                }
            )
            for entry in entries[:MOST_SLICES]
        ],
        key="compare_changed_slices",
        right=("Rows", "Changed", "Corrected", "Broken"),
    )
    if len(entries) > MOST_SLICES:
        panels.quiet(f"The {MOST_SLICES} slices of {len(entries)} with the most broken beyond corrected.")


def examples(document: Mapping[str, Any], kind: str, title: str) -> None:
    """The rows of one kind with both decisions and the features that moved them."""
    rows = document[kind]
    if not rows:
        return
    with st.expander(f"{title} ({len(rows)})"):
        panels.table(
            [
                panels.Row(
                    {
                        "Row": theme.number(row["ordinal"] + 1),
                        "True": row["true"],
                        "Before": row["before"],
                        "Now": row["after"],
                        "Score": theme.MISSING
                        if row["score_before"] is None or row["score_after"] is None
                        else f"{theme.number(row['score_before'])} to {theme.number(row['score_after'])}",
                        "What moved it": moved(row["contributions"]),
                    }
                )
                for row in rows
            ],
            key=f"compare_{kind}",
            columns={"What moved it": st.column_config.TextColumn(width=420)},
        )
        of = f" Score: that of {document['score_of']}." if document.get("score_of") else ""
        panels.quiet(
            f"What moved it: the features whose contribution to the prediction differs most between the two.{of}"
        )
        if document.get("contributions_missing"):
            panels.quiet(str(document["contributions_missing"]))
        st.dataframe(
            [
                {"row": row["ordinal"] + 1, **{k: v if v is None else str(v) for k, v in row["values"].items()}}
                for row in rows
            ],
            hide_index=True,
            row_height=panels.ROW_HEIGHT,
            column_config={"row": st.column_config.NumberColumn(pinned=True)},
            key=f"compare_{kind}_values",
            alt="Every column of these rows",
        )


def moved(contributions: Mapping[str, Any] | None) -> str:
    """The features whose contribution differs most: "age +0.21, hours −0.08"."""
    return ", ".join(f"{name} {theme.difference(by)}" for name, by in report.movers(contributions)[:MOVERS])


_OFFERED: dict[str, Callable[[Sequence[Side], RunRecord, str], bool]] = {
    "curves": lambda scored, _baseline, _metric: bool(curves_of(scored)),
    "trade_offs": lambda scored, _baseline, _metric: len(scored) > 1 and len(sides.axes(scored)) > 1,
    "parameters": lambda scored, baseline, metric: bool(family_of(scored, baseline, metric)[2]),
    "decisions": lambda scored, baseline, _metric: decides(scored, baseline),
}


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
