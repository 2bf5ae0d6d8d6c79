"""The parts of the page that holds runs against each other."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.evaluation.metrics import METRICS, metrics_for
from core.evaluation.tables import Comparison, Verdict
from core.training.algorithms import ALGORITHMS
from core.training.queries import RunRecord, ScoredOn
from dashboard import panels, selection, theme
from dashboard.charts import comparing as charts
from dashboard.charts import runs as run_charts
from dashboard.charts.runs import Dot
from dashboard.theme import Role

MOST_CURVES = 8
WORDS = {
    Verdict.BETTER: "better",
    Verdict.NOT_WORSE: "not worse",
    Verdict.WORSE: "worse",
    Verdict.INCONCLUSIVE: "inconclusive",
}
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


def label_of(record: RunRecord) -> str:
    """A run's name beside others."""
    return f"Run {record.run.id}, {ALGORITHMS[record.run.algorithm].title}"


def on_set(record: RunRecord, set_id: int) -> ScoredOn | None:
    """The run's evaluation on one set, if it was scored there."""
    return next((one for one in record.evaluations if one.evaluation.evaluation_set_id == set_id), None)


def verdicts(baseline: RunRecord, others: Sequence[RunRecord], found: dict[int, Comparison], *, metric: str) -> None:
    """Each candidate's difference from the baseline, drawn and said."""
    title, colours = METRICS[metric].title, theme.colours()
    rows = [
        charts.Difference(
            label=label_of(record),
            effect=comparison.effect,
            low=comparison.low,
            high=comparison.high,
            word=WORDS[Verdict(comparison.verdict)],
            harm=comparison.verdict == Verdict.WORSE,
        )
        for record in others
        if (comparison := found.get(record.run.id or 0))
    ]
    if not rows:
        return
    better = [row.label for row in rows if row.word == "better"]
    finding = (
        f"{better[0]} is better than run {baseline.run.id} in {title}"
        if len(better) == 1
        else f"{len(better)} of {len(rows)} are better than run {baseline.run.id} in {title}"
        if better
        else f"None is better than run {baseline.run.id} in {title}"
    )
    ranked = sorted(others, key=lambda record: -found[record.run.id or 0].effect if record.run.id in found else 0.0)
    any_one = next(iter(found.values()))
    panels.section(
        finding,
        "Paired: each row is answered by both, and only the difference counts. The dot is the difference, the line "
        f"its 95 % interval; the shaded band is the margin of {theme.number(any_one.margin)} that still counts as not "
        "worse.",
    )
    panels.figure(
        charts.differences(rows, margin=any_one.margin, metric=title, colours=colours),
        key="compare_verdicts",
        alt=f"Differences in {title} against run {baseline.run.id}: " + "; ".join(charts.in_words(row) for row in rows),
    )
    panels.table(
        [
            panels.Row(
                {
                    "Candidate": label_of(record),
                    "Verdict": theme.mark(WORDS[word].capitalize(), MARKS[word]),
                    "Difference": with_interval(one),
                    "p-value": theme.pvalue(one.pvalue),
                    "Rows": theme.number(one.n_rows) + (f", {one.n_left_out:,} left out" if one.n_left_out else ""),
                    "Detectable": theme.number(one.smallest_effect),
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
    with st.expander("What does this mean?"):
        for verdict, meaning in MEANINGS.items():
            panels.quiet(f"{WORDS[verdict].capitalize()}: {meaning}")
        panels.quiet("p-value: how often a difference this large would show if the two were equally good.")
        panels.quiet("Rows left out: either model was trained on them, so they would flatter it.")
        panels.quiet("Detectable: the smallest difference these rows would have shown four times in five.")
        changed = [(record, one.changed) for record in others if (one := found.get(record.run.id or 0)) and one.changed]
        for record, change in changed:
            panels.quiet(
                f"Run {record.run.id} decides {change['n_changed']:,} of {change['n_rows']:,} rows differently "
                f"({theme.percent(change['n_changed'] / max(1, change['n_rows']))}): {change['n_corrected']:,} "
                f"corrected, {change['n_broken']:,} broken."
            )


def with_interval(one: Comparison) -> str:
    """+0.011 [+0.006, +0.016]."""
    return f"{theme.difference(one.effect)} [{theme.difference(one.low)}, {theme.difference(one.high)}]"


def differing(records: Sequence[RunRecord]) -> None:
    """What was done differently, first; what was the same, folded."""
    described = {
        label_of(record): {
            "Algorithm": ALGORITHMS[record.run.algorithm].title,
            "Data": record.version_label,
            "Features": ", ".join(record.run.features),
            "Split": record.split.method if record.split else theme.MISSING,
            "Seed": str(record.run.seed),
            **{
                parameter.title: str(record.run.parameters[parameter.key])
                for parameter in ALGORITHMS[record.run.algorithm].parameters
                if parameter.key in record.run.parameters
            },
        }
        for record in records
    }
    frame = pd.DataFrame.from_dict(described, orient="index").fillna(theme.MISSING)
    differs = [name for name in frame.columns if frame[name].nunique() > 1]
    same = [name for name in frame.columns if name not in differs]
    panels.section(
        f"They differ in {', '.join(name.lower() for name in differs[:4])}" + (" and more" if len(differs) > 4 else "")
        if differs
        else "They were asked for in the same way"
    )
    if differs:
        st.dataframe(
            frame[differs].rename_axis("Run").reset_index(),
            hide_index=True,
            row_height=36,
            column_config={"Run": st.column_config.TextColumn(pinned=True)},
            alt="What differs between the runs",
        )
    if same:
        with st.expander(f"The same in all: {theme.count(len(same), 'choice')}"):
            panels.facts({name: str(frame[name].iloc[0]) for name in same})


def overlaid(pairs: Sequence[tuple[RunRecord, ScoredOn]]) -> None:
    """The runs' curves on one figure."""
    drawings = {
        "roc": ("ROC", run_charts.roc),
        "precision_recall": ("Precision and recall", run_charts.precision_recall),
        "calibration": ("Calibration", run_charts.calibration),
    }
    offered = {
        code: words for code, (words, _) in drawings.items() if all(one.evaluation.curves.get(code) for _, one in pairs)
    }
    if not offered:
        return
    panels.section(
        "Their curves on the same rows",
        f"The first {MOST_CURVES} of {len(pairs)} are drawn." if len(pairs) > MOST_CURVES else "",
    )
    code = selection.view("Curve", offered, name="curve")
    curves = {label_of(record): one.evaluation.curves[code] for record, one in pairs[:MOST_CURVES]}
    panels.figure(
        drawings[code][1](curves, colours=theme.colours()),
        key=f"compare_curve_{code}",
        alt=f"{offered[code]} curves of {', '.join(curves)}",
    )


def plane(pairs: Sequence[tuple[RunRecord, ScoredOn]], baseline: RunRecord) -> None:
    """Any two metrics of each run."""
    shared = [entry for entry in metrics_for(baseline.run.task) if all(entry.key in one.metrics for _, one in pairs)]
    if len(shared) < 2:
        return
    panels.section(
        "Two metrics at once",
        "A run further along both axes in the better direction wins twice; the others trade one metric for the other.",
    )
    with st.container(horizontal=True):
        across = selection.pick("Across", {entry.key: entry.title for entry in shared}, name="x")
        upward = selection.pick("Upward", {entry.key: entry.title for entry in [*shared[1:], shared[0]]}, name="y")
    points = [
        charts.Point(
            f"Run {record.run.id}",
            one.metrics[across].value,
            one.metrics[upward].value,
            is_baseline=record.run.id == baseline.run.id,
        )
        for record, one in pairs
    ]
    direction = {True: "higher is better", False: "lower is better"}
    panels.figure(
        charts.plane(
            points,
            x_title=f"{METRICS[across].title} ({direction[METRICS[across].greater_is_better]})",
            y_title=f"{METRICS[upward].title} ({direction[METRICS[upward].greater_is_better]})",
            colours=theme.colours(),
        ),
        key="compare_plane",
        alt="; ".join(f"{point.label}: {point.x:.3f}, {point.y:.3f}" for point in points),
    )


def ranked_by(metric: str, scored: Sequence[tuple[RunRecord, ScoredOn]], baseline: RunRecord) -> None:
    """Each run's value with its interval, the baseline as a vertical rule."""
    entry = METRICS[metric]
    dots = [
        Dot(label_of(record), value.value, value.low, value.high)
        for record, one in scored
        if (value := one.metrics.get(metric))
    ]
    if not dots:
        return
    top = (max if entry.greater_is_better else min)(dots, key=lambda dot: dot.value)
    rule = next((Dot("baseline", dot.value) for dot in dots if dot.label == label_of(baseline)), None)
    panels.section(
        f"{top.label} has the {'highest' if entry.greater_is_better else 'lowest'} {entry.title}",
        entry.sentence + " Overlapping lines do not mean a tie: the paired verdict decides.",
    )
    panels.figure(
        run_charts.metric_dots(dots, colours=theme.colours(), title=entry.title, rule=rule),
        key="compare_dots",
        alt="; ".join(run_charts.in_words(dot) for dot in dots),
    )
