"""A comparison as one page that is handed on: it opens without a server and asks for nothing off the page.

Everything is read from stored rows; nothing is computed anew. Whatever a person typed is escaped. There is no script,
no link off the page, no image file and no font file; figures are inline SVG, and one style sheet serves light, dark and
paper.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from core.errors import InvalidInput, NotApplicable
from core.evaluation import queries as evaluations
from core.evaluation.metrics import METRICS, metrics_for
from core.evaluation.metrics import metric as metric_entry
from core.evaluation.tables import Comparison, Task, Verdict
from core.evaluation.verdicts import figure, rows_in_words
from core.training import queries, svg
from core.training import side_by_side as sides
from core.training.queries import RunRecord
from core.training.service import require_finished, require_same_question
from core.training.side_by_side import NONE, WORDS, Side, label_of

MOST_CURVES = 8
MOST_SLICES = 12
MOST_EXAMPLES = 5
MOVERS = 3
SHARE = (0.0, 1.0)
MOST_DOTS = 200
MOST_ACROSS = 6


def comparison_report(
    session: Session,
    *,
    run_ids: Sequence[int],
    baseline_id: int,
    metric: str,
    set_id: int,
    now: datetime,
    margin: float | None = None,
) -> str:
    """Write runs against a baseline as one self-contained HTML page.

    Verdicts and changed decisions are there as far as they have been worked out; what is missing is said.

    Parameters
    ----------
    run_ids : sequence of int
        Finished runs that answer one question, the baseline among them, in the order they are shown.
    metric : str
        A key of `METRICS`.
    set_id : int
        The evaluation set all are judged on; a run that was not scored on it is named and left out.
    now : datetime
        Printed as when it was written.
    margin : float, optional
        As the comparisons were asked for with; the metric's default when None. Verdicts at other margins are not shown.

    Raises
    ------
    NotFound
        A run or the metric.
    InvalidInput
        Fewer than two runs, or the baseline is not among them.
    NotApplicable
        A run that is not finished, runs that answer different questions, or a metric of another task.
    """
    ids = list(dict.fromkeys(run_ids))
    if len(ids) < 2 or baseline_id not in ids:
        raise InvalidInput(
            f"A report needs at least two runs with the baseline among them; given were {ids} against {baseline_id}."
        )
    records = queries.run_records(session, ids)
    baseline = next(record for record in records if record.run.id == baseline_id)
    for record in records:
        require_same_question(require_finished(baseline.run), require_finished(record.run))
    entry = metric_entry(metric)
    if Task(baseline.run.task) not in entry.tasks:
        raise NotApplicable(f"{entry.title} is not defined for a {baseline.run.task} task.")
    scored = sides.sides_of(records, set_id)
    base = sides.on_set(baseline, set_id)
    found: dict[int, Comparison] = {}
    others = [record for record in records if record is not baseline]
    if base is not None:
        run_of = {side.scored.evaluation.id or 0: side.run_id for side in scored if side.record is not baseline}
        made = evaluations.comparisons(
            session,
            baseline_evaluation_ids=[base.evaluation.id or 0],
            candidate_evaluation_ids=list(run_of),
            metric=metric,
        )
        asked = sides.margin_on(base, metric, margin)
        found = sides.verdicts_of(made, run_of, n_candidates=len(others), margin=asked)
    title = f"Runs {', '.join(str(one) for one in ids)} compared"
    body = [
        f"<h1>{_safe(title)}</h1>",
        _quiet(
            f"{baseline.version_label}, predicts {baseline.run.target} ({baseline.run.task}). Baseline: "
            f"{label_of(baseline)}. Written {_stamp(now)}."
        ),
        *_verdicts(baseline, others, found, metric=metric),
        *_unscored(records, set_id),
        *_metrics(scored, baseline, found),
        *_differing(records, baseline),
        *_curves(scored, baseline),
        *_changed(session, scored, baseline, found),
        *_how(scored, baseline, found, metric=metric),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        # Said by the page itself too, so that nothing a value might smuggle in could load or run.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{_safe(title)}</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(body)
        + "\n</main></body></html>\n"
    )


def movers(contributions: Mapping[str, Any] | None) -> list[tuple[str, float]]:
    """How much more each feature adds by the candidate than by the baseline, the largest first; without zeros.

    Parameters
    ----------
    contributions : mapping or None
        As `core.training.change_analysis.changed` keeps it for one example.
    """
    if not contributions or contributions["before"]["of"] != contributions["after"]["of"]:
        return []
    by: dict[str, float] = {}
    for side, sign in (("before", -1.0), ("after", 1.0)):
        for one in contributions[side]["entries"]:
            by[one["feature"]] = by.get(one["feature"], 0.0) + sign * one["contribution"]
    return sorted(((name, value) for name, value in by.items() if value), key=lambda one: -abs(one[1]))


def _verdicts(
    baseline: RunRecord, others: Sequence[RunRecord], found: Mapping[int, Comparison], *, metric: str
) -> list[str]:
    title = METRICS[metric].title
    known = sorted(
        (record for record in others if record.run.id in found), key=lambda one: -found[one.run.id or 0].effect
    )
    missing = [str(record.run.id) for record in others if record.run.id not in found]
    unsaid = [_quiet(f"No verdict has been worked out for run {', '.join(missing)}.")] if missing else []
    if not known:
        return ["<h2>No verdict yet</h2>", *unsaid]
    pairs = [(record, found[record.run.id or 0]) for record in known]
    tried = max(one.n_candidates for _, one in pairs)
    pvalues = sides.pvalues_of(found)
    rows = [
        svg.Effect(
            label_of(record),
            one.effect,
            one.low,
            one.high,
            WORDS[Verdict(one.verdict)],
            harm=one.verdict == Verdict.WORSE,
        )
        for record, one in pairs
    ]
    allowing = f", allowing for {tried} candidates tried" if tried > 1 else ""
    said = "".join(
        f"<li>{_safe(sides.verdict_sentence(record, one, metric=metric, pvalue=pvalues[record.run.id or 0]))}"
        + _needed(one)
        + (f" {_safe('Other tests: ' + sides.agreement(one))}" if sides.agreement(one) else "")
        + "</li>"
        for record, one in pairs
    )
    return [
        f"<h2>{_safe(sides.finding(baseline, others, found, metric=metric))}</h2>",
        f"<ul>{said}</ul>",
        *unsaid,
        svg.effects(
            rows,
            margin=pairs[0][1].margin,
            x_title=f"difference in {title}; right of zero is better",
            alt=f"Differences in {title} against run {baseline.run.id}",
        ),
        _quiet(
            f"The dot is the paired difference, the line its 95 % interval{allowing}; the shade is the margin of "
            f"{figure(pairs[0][1].margin)} that still counts as not worse. Detectable is the smallest difference these "
            "rows would have shown four times in five."
            + (f" p-values are corrected by Holm's method for {tried} candidates." if tried > 1 else "")
        ),
    ]


def _needed(one: Comparison) -> str:
    if one.rows_needed is None or one.verdict != Verdict.INCONCLUSIVE:
        return ""
    return f" {_safe(rows_in_words(one.rows_needed))} would be needed to tell a difference as large as the margin."


def _unscored(records: Sequence[RunRecord], set_id: int) -> list[str]:
    missing = [str(record.run.id) for record in records if sides.on_set(record, set_id) is None]
    if not missing:
        return []
    return [
        f'<p class="attention">Scored on other rows, so not ranked with the others: run {_safe(", ".join(missing))}.'
        "</p>"
    ]


def _metrics(scored: Sequence[Side], baseline: RunRecord, found: Mapping[int, Comparison]) -> list[str]:
    shown = [one for one in metrics_for(baseline.run.task) if any(one.key in side.scored.metrics for side in scored)]
    if not shown:
        return []
    heads = ["Metric", *(f"Run {side.run_id}" for side in scored)]
    standing = [
        "baseline"
        if side.record.run.id == baseline.run.id
        else WORDS[Verdict(found[side.run_id].verdict)]
        if side.run_id in found
        else "no verdict"
        for side in scored
    ]
    lines = [["Verdict", *standing]]
    for entry in shown:
        values = [side.scored.metrics.get(entry.key) for side in scored]
        lines.append(
            [
                f"{entry.title} {'↑' if entry.greater_is_better else '↓'}",
                *(NONE if one is None else _interval(one.value, one.low, one.high) for one in values),
            ]
        )
    for axis in sides.COSTS.values():
        places = [sides.place(side, axis.key) for side in scored]
        if any(places):
            lines.append([axis.title, *(NONE if one is None else figure(one.value) for one in places)])
    return [
        "<h2>Each run on the same rows</h2>",
        _by_run(heads, lines),
        _quiet(
            "↑ higher is better, ↓ lower is better. Brackets hold each run's own 95 % interval. The highest value "
            "alone does not mean better: the paired verdict decides."
        ),
    ]


def _differing(records: Sequence[RunRecord], baseline: RunRecord) -> list[str]:
    chosen = sides.choices(records, baseline)
    differs = [one for one in chosen if one.differs]
    same = [one for one in chosen if not one.differs]
    heads = ["Choice", *(f"Run {record.run.id}" for record in records)]
    alike = "; ".join(
        f"{one.title.lower()} {', '.join(baseline.run.features) if one.title == 'Features' else one.values[0]}"
        for one in same
    )
    return [
        f"<h2>{_safe(sides.differing_sentence(differs))}</h2>",
        *([_by_run(heads, [[one.title, *one.values] for one in differs])] if differs else []),
        *([_quiet(f"The same in all: {alike}.")] if same else []),
    ]


def _curves(scored: Sequence[Side], baseline: RunRecord) -> list[str]:
    base = [side for side in scored if side.record.run.id == baseline.run.id]
    rest = [side for side in scored if side.record.run.id != baseline.run.id]
    drawn = [*base, *rest][:MOST_CURVES]
    parts: list[str] = []
    for code, title, x_title, y_title, across, upward in (
        ("roc", "ROC", "negatives flagged by mistake", "positives found", "fpr", "tpr"),
        (
            "precision_recall",
            "Precision and recall",
            "positives found",
            "flagged that are right",
            "recall",
            "precision",
        ),
        ("gain", "Gain", "share of rows flagged, the likeliest first", "positives found", "share", "found"),
        ("calibration", "Calibration", "predicted probability", "observed share", "mean_score", "share_positive"),
    ):
        if not drawn or not all(side.scored.evaluation.curves.get(code) for side in drawn):
            continue
        kept = [(place, side, side.scored.evaluation.curves[code]) for place, side in enumerate(drawn)]
        parts += [
            f"<h3>{title}</h3>",
            svg.lines(
                [
                    svg.Series(
                        f"Run {side.run_id}",
                        curve[across],
                        curve[upward],
                        curve.get("low"),
                        curve.get("high"),
                        _style(side, baseline, place),
                        "step" if code == "precision_recall" else "line",
                    )
                    for place, side, curve in kept
                ],
                x_title=x_title,
                y_title=y_title,
                alt=f"{title} curves of {', '.join(label_of(side.record) for side in drawn)}",
                x_range=SHARE,
                y_range=SHARE,
                diagonal=code != "precision_recall",
            ),
        ]
    parts += _of_regression(drawn, baseline)
    if not parts:
        return []
    left_out = len(scored) - len(drawn)
    return [
        "<h2>Their curves on the same rows</h2>",
        _quiet(
            "The dashed line is the baseline; a shade is a 95 % band, point by point."
            + (f" {left_out} more runs are not drawn." if left_out else "")
        ),
        *parts,
    ]


def _of_regression(drawn: Sequence[Side], baseline: RunRecord) -> list[str]:
    target, parts = baseline.run.target, []
    if drawn and all(side.scored.evaluation.curves.get("residuals") for side in drawn):
        series = []
        for place, side in enumerate(drawn):
            kept = side.scored.evaluation.curves["residuals"]
            edges, counts = kept["edges"], kept["counts"]
            total = sum(counts) or 1
            widths = [(high - low) or 1.0 for low, high in itertools.pairwise(edges)]
            heights = [count / total / width for count, width in zip(counts, widths, strict=True)]
            series.append(
                svg.Series(
                    f"Run {side.run_id}", edges, [*heights, 0.0], style=_style(side, baseline, place), kind="step"
                )
            )
        parts += [
            "<h3>Residuals</h3>",
            svg.lines(
                series,
                x_title=f"predicted minus true {target}",
                y_title="share of rows a unit",
                alt="How far each run's predictions are off",
            ),
        ]
    if drawn and all(side.scored.evaluation.curves.get("predicted_true") for side in drawn):
        parts += [
            "<h3>Predicted and true</h3>",
            svg.lines(
                [
                    svg.Series(
                        f"Run {side.run_id}",
                        _some(kept["y_true"]),
                        _some(kept["y_pred"]),
                        style=_style(side, baseline, place),
                        kind="dots",
                    )
                    for place, side in enumerate(drawn)
                    if (kept := side.scored.evaluation.curves["predicted_true"])
                ],
                x_title=f"true {target}",
                y_title=f"predicted {target}",
                alt="Predictions against the truth",
                diagonal=True,
            ),
        ]
    return parts


def _changed(
    session: Session, scored: Sequence[Side], baseline: RunRecord, found: Mapping[int, Comparison]
) -> list[str]:
    rows: list[list[str]] = []
    parts: list[str] = []
    for side in scored:
        counted = found[side.run_id].changed if side.run_id in found else None
        kept = evaluations.analysis(
            session,
            evaluation_id=side.scored.evaluation.id or 0,
            kind="changes",
            options={"baseline_run_id": baseline.run.id},
        )
        document = kept.result if kept else None
        counted = document or counted
        if side.record.run.id == baseline.run.id or not counted:
            continue
        share = 100 * counted["n_changed"] / max(1, counted["n_rows"])
        rows.append(
            [
                label_of(side.record),
                f"{counted['n_changed']:,} of {counted['n_rows']:,} ({share:.1f} %)",
                f"{counted['n_corrected']:,}",
                f"{counted['n_broken']:,}",
            ]
        )
        if document and (who := _who(document)):
            parts += [f"<h3>Whom {_safe(label_of(side.record))} decides differently on</h3>", *who]
    if not rows:
        return []
    return [
        "<h2>Decisions that change</h2>",
        _quiet("Corrected: wrong by the baseline, right by the run. Broken: the other way round."),
        _table(["Run", "Decided differently", "Corrected", "Broken"], rows),
        *parts,
    ]


def _who(document: Mapping[str, Any]) -> list[str]:
    slices = [
        [one["slice"], f"{one['n']:,}", f"{one['changed']:,}", f"{one['corrected']:,}", f"{one['broken']:,}"]
        for one in [one for one in document["by_slice"] if one["changed"]][:MOST_SLICES]
    ]
    cases = [
        [
            kind,
            f"{one['ordinal'] + 1:,}",
            one["true"],
            one["before"],
            one["after"],
            ", ".join(f"{name} {figure(by, signed=True)}" for name, by in movers(one["contributions"])[:MOVERS])
            or NONE,
        ]
        for kind in ("broken", "corrected")
        for one in document[kind][:MOST_EXAMPLES]
    ]
    parts = [_table(["Slice", "Rows", "Changed", "Corrected", "Broken"], slices)] if slices else []
    if cases:
        parts.append(_table(["Case", "Row", "True", "Before", "Now", "What moved it"], cases))
    return parts


def _how(scored: Sequence[Side], baseline: RunRecord, found: Mapping[int, Comparison], *, metric: str) -> list[str]:
    entry = METRICS[metric]
    methods = sorted({one.method for one in found.values()})
    rows = sorted({one.n_rows for one in found.values()})
    lines = [
        [
            f"Run {side.run_id}" + (", baseline" if side.record.run.id == baseline.run.id else ""),
            side.scored.set_label,
            f"{side.scored.evaluation.n_rows:,}",
            f"{side.scored.evaluation.n_left_out:,}",
            str(side.record.run.seed),
            _hash(side.record.run.model_sha256),
            _hash(side.scored.evaluation.predictions_sha256),
            side.record.run.code_version[:12] or NONE,
        ]
        for side in scored
    ]
    return [
        "<h2>How it was worked out</h2>",
        f"<p>{_safe(entry.title)}: {_safe(entry.sentence)}"
        + (f" Source: {_safe(entry.reference)}." if entry.reference else "")
        + "</p>",
        f"<p>Verdicts by {_safe(', '.join(methods))} on {_safe(', '.join(f'{n:,}' for n in rows))} paired rows, from "
        "each run's stored predictions; rows that either run was trained on are left out. Resampling, where a method "
        "resamples, is seeded with 0.</p>"
        if methods
        else "",
        _table(["Run", "Rows judged on", "Rows", "Left out", "Seed", "Model", "Predictions", "Code"], lines),
        _quiet(
            f"Evaluation set {_hash(scored[0].scored.evaluation_set.rows_sha256)}. Hashes are the first eight "
            "characters of SHA-256."
        )
        if scored
        else "",
    ]


def _style(side: Side, baseline: RunRecord, place: int) -> int:
    return 0 if side.record.run.id == baseline.run.id else max(1, place)


def _some(values: Sequence[float]) -> list[float]:
    step = max(1, len(values) // MOST_DOTS)
    return list(values[::step])


def _by_run(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table with a column a run, cut into tables of so many columns as paper holds."""
    blocks = range(1, len(heads), MOST_ACROSS)
    if len(blocks) == 1:
        return _table(heads, rows)
    # The columns of each are as wide as those of the first, so that they read as one table.
    return "".join(
        _table(
            [heads[0], *heads[at : at + MOST_ACROSS]],
            [[row[0], *row[at : at + MOST_ACROSS]] for row in rows],
            look=f"even across{len(heads[at : at + MOST_ACROSS])}",
        )
        for at in blocks
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]], *, look: str = "") -> str:
    """A table; ``look`` are classes of the style sheet."""
    classes = f' class="{look}"' if look else ""
    head = "".join(f'<th scope="col">{_safe(one)}</th>' for one in heads)
    body = "".join(
        f'<tr><th scope="row">{_safe(row[0])}</th>' + "".join(f"<td>{_safe(one)}</td>" for one in row[1:]) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table{classes}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _quiet(text: str) -> str:
    return f'<p class="quiet">{_safe(text)}</p>'


def _safe(value: object) -> str:
    return html.escape(str(value))


def _interval(value: float, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return figure(value)
    said = sides.together(value, low, high)
    return f"{said[0]} [{said[1]},\u00a0{said[2]}]"


def _hash(sha256: str | None) -> str:
    return sha256[:8] if sha256 else NONE


def _stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


STYLE = (
    """
:root { --text:#17212B; --muted:#55636F; --grid:#DFE5EA; --page:#FFFFFF; --gain:#0F766E; --harm:#DC2626;
  --attention:#B45309; --s0:#475569; --s1:#0F766E; --s2:#2563EB; --s3:#7E22CE; --s4:#BE185D; --s5:#4D7C0F;
  --s6:#3F3F46; --s7:#0E7490; }
@media (prefers-color-scheme: dark) { :root { --text:#E6EDF3; --muted:#9DABB9; --grid:#2A3642; --page:#0E141A;
  --gain:#2DD4BF; --harm:#F87171; --attention:#FBBF24; --s0:#CBD5E1; --s1:#2DD4BF; --s2:#60A5FA; --s3:#C084FC;
  --s4:#F472B6; --s5:#A3E635; --s6:#D4D4D8; --s7:#22D3EE; } }
* { box-sizing: border-box; }
body { margin:0; background:var(--page); color:var(--text);
  font:14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width:960px; margin:0 auto; padding:32px 20px; }
h1 { font-size:26px; line-height:1.25; margin:0 0 4px; overflow-wrap:anywhere; }
h2 { font-size:16px; margin:32px 0 4px; overflow-wrap:anywhere; }
h3 { font-size:14px; margin:20px 0 4px; overflow-wrap:anywhere; }
p { margin:4px 0 8px; overflow-wrap:anywhere; }
ul { margin:4px 0 8px; padding-left:20px; overflow-wrap:anywhere; }
.quiet, .muted { color:var(--muted); }
.attention { color:var(--attention); }
.wide { overflow-x:auto; margin:8px 0; }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; }
th, td { text-align:left; padding:6px 12px 6px 0; border-bottom:1px solid var(--grid); vertical-align:top;
  overflow-wrap:break-word; min-width:72px; }
table.even { table-layout:fixed; }
thead th { color:var(--muted); font-weight:500; }
tbody th { font-weight:500; }
svg { display:block; width:100%; min-width:560px; max-width:720px; height:auto; margin:8px 0; font-size:13px; }
svg text { fill:var(--text); } svg text.muted { fill:var(--muted); }
svg .grid { stroke:var(--grid); } svg .zero { stroke:var(--s0); stroke-width:1.5; }
svg .guide { stroke:var(--muted); stroke-dasharray:2 4; }
svg .margin { fill:var(--muted); fill-opacity:.16; }
svg .gain { fill:var(--gain); stroke:var(--gain); } svg .harm { fill:var(--harm); stroke:var(--harm); }
svg text.gain, svg text.harm, svg text.name { stroke:none; }
svg .thin { stroke-width:1.5; }
svg .curve { fill:none; stroke-width:1.75; } svg .curve.s0 { stroke-width:2.5; stroke-dasharray:6 4; }
svg .band { stroke:none; fill-opacity:.13; } svg .dot { stroke:none; fill-opacity:.4; }
"""
    + "\n".join(
        f"svg .curve.s{n} {{ stroke:var(--s{n}); }} "
        f"svg .band.s{n}, svg .dot.s{n}, svg .name.s{n} {{ fill:var(--s{n}); }}"
        for n in range(MOST_CURVES)
    )
    + "\n"
    + "\n".join(f"table.across{n} {{ width:{100 * (1 + n) / (1 + MOST_ACROSS):.1f}%; }}" for n in range(1, MOST_ACROSS))
    + """
@page { size:A4; margin:16mm; }
@media print { :root { --text:#17212B; --muted:#55636F; --grid:#DFE5EA; --page:#FFFFFF; --gain:#0F766E; --harm:#DC2626;
  --attention:#B45309; --s0:#475569; --s1:#0F766E; --s2:#2563EB; --s3:#7E22CE; --s4:#BE185D; --s5:#4D7C0F;
  --s6:#3F3F46; --s7:#0E7490; }
  body { font-size:11px; print-color-adjust:exact; -webkit-print-color-adjust:exact; }
  main { max-width:none; padding:0; } h2, h3, h2 + .quiet { break-after:avoid; }
  svg { min-width:0; } svg, tr, li { break-inside:avoid; }
  .wide { overflow:visible; } th, td { padding-right:6px; min-width:0; } }
"""
)
