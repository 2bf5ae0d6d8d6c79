"""The parts of a dataset version's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.access import queries as access
from core.datasets import queries
from core.datasets.tables import CheckResult, DatasetVersion, Outcome, Severity
from core.training import queries as runs
from core.training.algorithms import ALGORITHMS
from dashboard import panels, reads, session, theme
from dashboard.charts import datasets as charts
from dashboard.theme import Role

ROWS = 50
MOST_DOWNLOADED = 200_000
RELATIONS = {"new": "first version", "replaces": "replaces version {}", "adds_to": "adds to version {}"}
SEVERITIES = {Severity.BLOCK: "blocks training", Severity.WARN: "warning", Severity.LOG: "for the record"}
FAILED: dict[str, Role] = {Severity.BLOCK: "harm", Severity.WARN: "attention"}


def check_state(check: CheckResult) -> str:
    """A check's outcome for a cell: red only where it stops something."""
    looks: dict[str, tuple[str, Role]] = {
        Outcome.PASSED: ("Passed", "healthy"),
        Outcome.FAILED: (
            "Noted" if check.severity == Severity.LOG else "Failed",
            FAILED.get(check.severity, "neutral"),
        ),
        Outcome.NOT_APPLICABLE: ("Not applicable", "neutral"),
        Outcome.SKIPPED: ("Skipped", "neutral"),
    }
    return theme.mark(*looks[check.outcome])


def failed_and_noted(checks: list[CheckResult]) -> tuple[list[CheckResult], list[CheckResult]]:
    """Checks that did not pass: those that block or warn, and those that only say what is good to know."""
    found = [check for check in checks if check.outcome == Outcome.FAILED]
    noted = [check for check in found if check.severity == Severity.LOG]
    return [check for check in found if check not in noted], noted


def literal_csv(version: DatasetVersion) -> bytes:
    """The version as CSV that no spreadsheet takes for formulas."""
    from core.datasets.exporting import to_csv

    return to_csv(queries.read_table(session.workspace().artifacts, version))


def parquet(version: DatasetVersion) -> bytes:
    """The version's stored file, checked against its hash."""
    return session.workspace().artifacts.get_bytes(version.data_sha256)


def download(version: DatasetVersion, label: str) -> None:
    """The version as a file, read only once somebody asks."""
    name = label.replace(" ", "-").replace("/", "-")
    with st.popover("Download", icon=":material/download:"):
        st.download_button(
            "CSV",
            data=lambda: literal_csv(version),
            file_name=f"{name}.csv",
            mime="text/csv",
            disabled=version.n_rows > MOST_DOWNLOADED,
            key="dataset_csv",
            on_click="ignore",
        )
        st.download_button(
            "Parquet",
            data=lambda: parquet(version),
            file_name=f"{name}.parquet",
            mime="application/vnd.apache.parquet",
            key="dataset_parquet",
            on_click="ignore",
        )
        panels.quiet(
            "In the CSV a cell that a spreadsheet would run as a formula opens with an apostrophe; Parquet holds every "
            "value as it is."
        )


def overview(version: DatasetVersion, checks: list[CheckResult], target: str | None) -> None:
    """What failed, what changed, and what there is to predict."""
    failed, noted = failed_and_noted(checks)
    passed = sum(1 for check in checks if check.outcome == Outcome.PASSED) + len(noted)
    n_evaluation = int(version.profile.get("n_evaluation_rows") or 0)
    panels.metrics(
        [
            ("Rows", theme.number(version.n_rows), ""),
            ("Columns", theme.number(version.n_columns), ""),
            ("Checks passed", f"{passed} of {passed + len(failed)}", ""),
            ("Evaluation rows inside", theme.number(n_evaluation), "kept out of training" if n_evaluation else ""),
        ]
    )
    if failed:
        panels.section(f"{theme.count(len(failed), 'check')} failed")
        for check in failed:
            panels.notice(check.explanation, FAILED.get(check.severity, "neutral"))
    if noted:
        panels.section("Good to know")
        for check in noted:
            panels.notice(check.explanation, "neutral")
    sentences = list((version.diff or {}).get("sentences", []))
    if version.diff:
        panels.section(
            f"Against version {version.diff['base_number']}",
            "" if sentences else "Nothing notable changed: same columns, same kinds, no value moved much.",
        )
        for sentence in sentences:
            st.text(f"• {sentence}")
    columns = {str(column["name"]): column for column in version.profile.get("columns", [])}
    if target is None:
        panels.section("Nothing to predict yet", "No target is declared. A run asks for one.")
    elif target in columns and (drawn := charts.distribution(columns[target], colours=theme.colours())):
        panels.section(f"The target {target}", typical_share(columns[target], version.n_rows))
        panels.figure(drawn, key="dataset_target", alt=charts.distribution_in_words(columns[target]))


def profile_of(version: DatasetVersion, dataset_target: str | None, sensitive: list[str]) -> None:
    """Each column's numbers in one table, and the distribution of the chosen one."""
    columns = list(version.profile.get("columns", []))
    by_name = {str(column["name"]): column for column in columns}
    if not by_name:
        panels.quiet("No profile is kept for this version.")
        return
    asked = session.chosen_text("column") or dataset_target
    names = list(by_name)
    if asked in by_name:
        names = [asked, *(name for name in names if name != asked)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Column", names, key=f"dataset_column_{version.id}", width=320)
    column = by_name[name]
    share = float(column["share_missing"])
    roles = [word for word, true in (("target", name == dataset_target), ("sensitive", name in sensitive)) if true]
    panels.section(
        f"{name}: {column['kind']}" + (f", {', '.join(roles)}" if roles else ""),
        f"{theme.count(column['n_distinct'], 'different value')}, "
        + (f"{theme.percent(share)} missing ({theme.number(column['n_missing'])})." if share else "none missing."),
    )
    drawn = charts.distribution(column, colours=theme.colours())
    left, right = st.columns([3, 2]) if drawn else (None, st.container())
    if drawn and left:
        with left:
            panels.figure(drawn, key="dataset_distribution", alt=charts.distribution_in_words(column))
    with right:
        panels.facts(numbers_of(column))
    panels.section("All columns")
    panels.table(
        [
            panels.Row(
                {
                    "Column": str(one["name"]),
                    "Kind": str(one["kind"]),
                    "Missing": theme.percent(one["share_missing"]) if one["n_missing"] else "none",
                    "Different": theme.number(one["n_distinct"]),
                    "Typical": typical(one),
                    "Range": spread(one),
                }
            )
            for one in columns
        ],
        key="dataset_columns",
        right=("Missing", "Different"),
    )


def numbers_of(column: Mapping[str, Any]) -> dict[str, str]:
    """A column's figures, those it has."""
    told = {"Mean": column.get("mean"), "Standard deviation": column.get("std")}
    shown = {label: figure_of(value) for label, value in told.items() if value is not None}
    quantiles = column.get("quantiles") or {}
    shown |= {f"{float(at) * 100:g} % lie below": figure_of(value) for at, value in quantiles.items()}
    if column.get("min") is not None:
        shown["Range"] = spread(column)
    return shown


def typical_share(column: Mapping[str, Any], n_rows: int) -> str:
    """What a model that always answers the same would score: the share of the most frequent value, or the median."""
    top = column.get("top") or []
    if not top:
        return f"Half of its values lie below {typical(column).removeprefix('median ')}."
    share = theme.percent(top[0]["count"] / max(1, n_rows))
    return f"{top[0]['value']} is most frequent: always answering it would be right for {share} of the rows."


def typical(column: Mapping[str, Any]) -> str:
    """A number's median, or the most frequent value."""
    quantiles = column.get("quantiles") or {}
    if quantiles.get("0.5") is not None:
        return f"median {figure_of(quantiles['0.5'])}"
    top = column.get("top") or []
    return f"{top[0]['value']} ({top[0]['count']:,})" if top else theme.MISSING


def figure_of(value: float) -> str:
    """A figure of a column: whole ones without decimals."""
    return theme.number(int(value)) if float(value).is_integer() else theme.number(float(value))


def spread(column: Mapping[str, Any]) -> str:
    """From the least to the greatest value."""
    low, high = column.get("min"), column.get("max")
    if low is None or high is None:
        return theme.MISSING
    if isinstance(low, int | float) and isinstance(high, int | float):
        return f"{figure_of(low)} to {figure_of(high)}"
    return f"{low} to {high}"


def rows_of(version: DatasetVersion) -> None:
    """The rows as they are stored, a page at a time."""
    pages = max(1, -(-version.n_rows // ROWS))
    table, turning = st.container(), st.container()
    with turning:
        page = st.pagination(pages, key="page", bind="query-params") if pages > 1 else 1
    first = (page - 1) * ROWS
    frame = reads.immutable(queries.preview, session.workspace().artifacts, version, offset=first, limit=ROWS)
    with table:
        panels.quiet(f"Rows {first + 1:,} to {first + len(frame):,} of {version.n_rows:,}.")
        st.dataframe(frame, hide_index=True, row_height=panels.ROW_HEIGHT, height=560, alt="Rows of this version")


def checks_of(checks: list[CheckResult]) -> None:
    """Every check, the failed first."""
    if not checks:
        panels.notice("No check ran on this version, so nothing is known about its quality.", "attention")
        return
    order = [Outcome.FAILED, Outcome.SKIPPED, Outcome.NOT_APPLICABLE, Outcome.PASSED]
    ranks = [Severity.BLOCK, Severity.WARN, Severity.LOG]
    failed = len(failed_and_noted(checks)[0])
    applied = sum(1 for check in checks if check.outcome in (Outcome.FAILED, Outcome.PASSED))
    panels.section(
        f"{failed} of {applied} checks failed" if failed else f"All {applied} checks passed",
        f"{len(checks) - applied} more do not apply to this version." if applied < len(checks) else "",
    )
    panels.table(
        [
            panels.Row(
                {
                    "Check": theme.words(check.code),
                    "Column": check.column or "all",
                    "Outcome": check_state(check),
                    "If it fails": SEVERITIES[Severity(check.severity)],
                    "What was found": check.explanation,
                }
            )
            for check in sorted(
                checks, key=lambda one: (order.index(Outcome(one.outcome)), ranks.index(Severity(one.severity)))
            )
        ],
        key="dataset_checks",
        two_lines=True,
    )


def changes_of(version: DatasetVersion) -> None:
    """Everything that differs from the version before."""
    diff = version.diff
    if not diff:
        panels.quiet("This is the first version: there is nothing to compare it with.")
        return
    rows = diff["rows"]
    panels.section(
        f"Against version {diff['base_number']}", f"{rows['before']:,} rows before, {rows['after']:,} rows now."
    )
    lists = {
        "New columns": ", ".join(diff.get("columns_added", [])),
        "Columns gone": ", ".join(diff.get("columns_removed", [])),
        "Kinds changed": ", ".join(
            f"{one['name']}: {one['before']} → {one['after']}" for one in diff.get("kinds_changed", [])
        ),
        "New target labels": ", ".join(map(str, diff.get("labels_new", []))),
        "Target labels gone": ", ".join(map(str, diff.get("labels_vanished", []))),
        "New values": "; ".join(
            f"{one['column']}: {', '.join(map(str, one['values']))}" for one in diff.get("categories_new", [])
        ),
        "Values gone": "; ".join(
            f"{one['column']}: {', '.join(map(str, one['values']))}" for one in diff.get("categories_vanished", [])
        ),
    }
    panels.facts({label: text for label, text in lists.items() if text} or {"Columns and values": "the same"})
    shifts = list(diff.get("shifts", []))
    if not shifts:
        panels.quiet("No column's values moved.")
        return
    panels.section(f"{shifts[0]['column']} moved most", str(shifts[0].get("sentence", "")))
    panels.figure(
        charts.shifts(shifts, colours=theme.colours()),
        key="dataset_shifts",
        alt="How far columns moved: " + "; ".join(f"{one['column']} {one['effect']:.3f}" for one in shifts[:8]),
    )


def lineage_of(version: DatasetVersion, versions: list[DatasetVersion], dataset_id: int) -> None:
    """Where the version came from and what was made of it."""
    assert version.id is not None
    names = reads.audited(access.user_names)
    numbers = {one.id: one.number for one in versions}
    upload = reads.audited(queries.upload, version.upload_id) if version.upload_id else None
    who = names.get(version.created_by or 0, "the shell")
    panels.section("Where it came from")
    panels.facts(
        {
            "File": upload.file_name if upload else "made inside Gatehouse",
            "Relation": RELATIONS[version.relation].format(numbers.get(version.parent_id, theme.MISSING)),
            "Added": f"{theme.stamp(version.created_at)} by {who}",
        }
    )
    panels.technical(
        {
            "Content": theme.short_hash(version.content_hash),
            "Stored file": theme.short_hash(version.data_sha256),
            "Original file": f"{theme.short_hash(upload.sha256)}, {theme.size(upload.size_bytes)}"
            if upload
            else theme.MISSING,
            **{
                key: " ".join(map(str, value)) if isinstance(value, list) else str(value)
                for key, value in version.parse_options.items()
                if key != "columns"
            },
        }
    )
    trained = reads.audited(runs.runs_of_versions, (version.id,))
    panels.section(f"{theme.count(len(trained), 'run')} trained on it" if trained else "No run was trained on it yet")
    panels.table(
        [
            panels.Row(
                {"Run": f"Run {run.id}", "Algorithm": ALGORITHMS[run.algorithm].title, "State": theme.words(run.state)},
                page="run",
                query={"run": run.id},
            )
            for run in trained[:50]
        ],
        key="dataset_runs",
    )
    panels.section("All versions of this dataset")
    panels.table(
        [
            panels.Row(
                {
                    "Version": f"v{one.number}",
                    "State": one.summary,
                    "Rows": theme.number(one.n_rows),
                    "Relation": RELATIONS[one.relation].format(numbers.get(one.parent_id, theme.MISSING)),
                    "Added": f"{theme.day(one.created_at)} by {names.get(one.created_by or 0, 'the shell')}",
                },
                page="dataset",
                query={"dataset": dataset_id, "version": one.number},
            )
            for one in versions
        ],
        key="dataset_versions",
        right=("Rows",),
    )
