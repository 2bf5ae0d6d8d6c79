"""Ask for a run: data, target, features, split, algorithm and its parameters, each from the catalogue."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.datasets import queries as datasets
from core.datasets.splitting import SplitMethod, SplitOptions
from core.datasets.tables import ColumnKind, DatasetVersion, Outcome
from core.errors import LifecycleError
from core.evaluation.tables import Task
from core.training.algorithms import ALGORITHMS, Algorithm, Parameter
from core.training.calibrating import CALIBRATIONS
from core.training.service import request_run, require_usable
from core.training.specification import (
    FEWEST_FOLDS,
    MOST_FOLDS,
    RunSpec,
    check_task,
    choose_features,
    infer_task,
    weight_columns,
)
from dashboard import panels, reads, selection, session, theme

TASKS = {
    Task.BINARY: "one of two classes",
    Task.MULTICLASS: "one of several classes",
    Task.REGRESSION: "a number",
}
SPLITS: dict[SplitMethod, str] = {"random": "Random", "stratified": "Stratified", "time": "By time"}
SPLIT_SENTENCES = {
    "random": "Each row falls into training, validation or test by chance.",
    "stratified": "By chance, with each class's share the same in every part.",
    "time": "The earliest rows train, the latest test: closest to how the model will be used.",
}


def parameter_field(algorithm: Algorithm, parameter: Parameter) -> Any:
    """One field of the form, made from its entry in the catalogue."""
    key = f"new_run_{algorithm.key}_{parameter.key}"
    if parameter.kind == "bool":
        return st.toggle(parameter.title, value=bool(parameter.default), help=parameter.help or None, key=key)
    if parameter.kind == "choice":
        return st.selectbox(
            parameter.title,
            parameter.choices,
            index=parameter.choices.index(str(parameter.default)),
            help=parameter.help or None,
            key=key,
        )
    whole = parameter.kind == "int"
    kind: type[int] | type[float] = int if whole else float
    return st.number_input(
        parameter.title,
        value=kind(parameter.default),
        min_value=None if parameter.low is None else kind(parameter.low),
        max_value=None if parameter.high is None else kind(parameter.high),
        step=1 if whole else None,
        format=None if whole else "%g",
        help=parameter.help or None,
        key=key,
    )


def choose_version() -> DatasetVersion | None:
    """The dataset version from the address, or the reader's pick among the newest of each dataset."""
    rows = [row for row in reads.audited(datasets.list_datasets) if row.latest_version_id is not None]
    if not rows:
        return None
    asked = session.chosen_id("version")
    options = {str(row.latest_version_id): f"{row.name} v{row.latest_number}" for row in rows}
    if asked is not None:
        asked_version = reads.audited(datasets.version, asked)
        newest_first = reads.audited(datasets.versions, asked_version.dataset_id)
        name = reads.audited(datasets.dataset, asked_version.dataset_id).name
        options |= {str(one.id): f"{name} v{one.number}" for one in newest_first}
    picked = selection.pick("Dataset version", {"": "Choose"} | options, name="version", width=320)
    return reads.audited(datasets.version, int(picked)) if picked else None


def choose_folds(method: SplitMethod) -> int:
    """How often to train again on other rows, only to see how much the figures move."""
    folds: int = st.selectbox(
        "Cross-validation",
        [0, *range(FEWEST_FOLDS, MOST_FOLDS + 1)],
        format_func=lambda n: f"{n} folds" if n else "None",
        key="new_run_folds",
    )
    panels.quiet(
        "Trains once more per fold, on other rows, to see how much the figures move."
        + (" As the split is by time, each fold is trained on what came before it." if method == "time" else "")
    )
    return folds


def choose_calibration(task: Task) -> str | None:
    """Whether to make scores the shares of rows that come true."""
    method = st.selectbox(
        "Calibration",
        ["", *CALIBRATIONS],
        format_func=lambda key: CALIBRATIONS[key].title if key else "None: scores as fitted",
        disabled=task == Task.REGRESSION,
        key=f"new_run_calibration_{task}",
    )
    panels.quiet(
        "A number has no scores to calibrate."
        if task == Task.REGRESSION
        else CALIBRATIONS[method].sentence
        if method
        else "Learns on the validation rows how to bend scores until they are the shares of rows that come true."
    )
    return method or None


def choose_weights(names: tuple[str, ...], *, key: str) -> str | None:
    """Which column says how much each row counts."""
    column = st.selectbox(
        "Weights",
        ["", *names],
        format_func=lambda name: name or "None: all rows count alike",
        disabled=not names,
        key=key,
    )
    panels.quiet(
        "How much each row counts, in the fit and in every figure. The column is then no feature."
        if names
        else "No column holds a number of at least 0 in every row."
    )
    return column or None


def facts_of(version: DatasetVersion) -> Mapping[str, Mapping[str, Any]]:
    """A version's profile by column."""
    return {entry["name"]: entry for entry in version.profile.get("columns", [])}


panels.header("New run", "One training from declared inputs. The record keeps every choice made here.")
version = choose_version()
if version is None:
    if not any(row.latest_version_id for row in reads.audited(datasets.list_datasets)):
        panels.empty_state("No data yet", "A run needs a dataset version.", button="Upload a file", page="intake")
    st.stop()
assert version.id is not None
dataset = reads.audited(datasets.dataset, version.dataset_id)
label = reads.audited(datasets.version_label, version.id)
with session.workspace().read() as reading:
    try:
        require_usable(reading, version, label=label)
    except LifecycleError as error:
        panels.refusal(error)
        st.stop()

profile, kinds = facts_of(version), {column["name"]: column["kind"] for column in version.columns}
names = list(kinds)
panels.section("What to predict")
left, right = st.columns(2)
target = left.selectbox(
    "Target",
    names,
    index=names.index(dataset.target) if dataset.target in names else None,
    placeholder="Choose the column to predict",
    key=f"new_run_target_{version.id}",
)
if target is None:
    st.stop()
described = {"target": target, "kind": kinds[target], "n_distinct": int(profile[target]["n_distinct"])}
try:
    inferred = infer_task(**described)
except LifecycleError as error:
    panels.refusal(error)
    st.stop()
task = right.selectbox(
    "Task",
    list(TASKS),
    index=list(TASKS).index(inferred),
    format_func=lambda one: f"{theme.words(one)}: {TASKS[one]}",
    help="Worked out from the target's values.",
    key=f"new_run_task_{version.id}_{target}",
)
try:
    check_task(task, **described)
except LifecycleError as error:
    panels.refusal(error)
    st.stop()

# The field for weights stands further down; what is picked there is no feature from the next rerun on.
weight_key = f"new_run_weights_{version.id}_{target}"
weighing: str | None = st.session_state.get(weight_key) or None
choice = choose_features(
    version.columns, version.profile, target=target, time_column=dataset.time_column, weight_column=weighing
)
usable = [name for name in names if name not in (target, weighing) and kinds[name] != ColumnKind.TEXT]
features_key = f"new_run_features_{version.id}_{target}"
without = set((session.chosen_text("without") or "").split("\n"))  # a link may leave features out
chosen_before = st.session_state.get(features_key, [name for name in choice.features if name not in without])
st.session_state[features_key] = [name for name in chosen_before if name in usable]
features = st.multiselect("Features", usable, key=features_key)
for check in reads.audited(datasets.checks, version.id):
    if check.code == "leaking_feature" and check.outcome == Outcome.FAILED and target == dataset.target:
        panels.notice(
            check.explanation,
            "attention",
            detail="Leave out what is not known yet when the model answers: it would look better here than it is.",
        )
if choice.left_out:
    panels.quiet(
        "Left out by default: " + "; ".join(f"{name} ({reason})" for name, reason in choice.left_out.items()) + "."
    )
sensitive = [name for name in features if name in dataset.sensitive]
if sensitive:
    panels.notice(
        f"{', '.join(sensitive)} is marked as sensitive and among the features."
        if len(sensitive) == 1
        else f"{', '.join(sensitive)} are marked as sensitive and among the features.",
        "attention",
    )

panels.section("How to split")
left, right = st.columns(2)
times = [name for name, kind in kinds.items() if kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP)]
methods = [
    method for method in SPLITS if (method != "time" or times) and (method != "stratified" or task != Task.REGRESSION)
]
method = left.selectbox(
    "Split",
    methods,
    index=methods.index("stratified") if "stratified" in methods else 0,
    format_func=SPLITS.__getitem__,
    key=f"new_run_split_{version.id}_{task}",
)
split_column = target if method == "stratified" else None
if method == "time":
    split_column = right.selectbox(
        "Time column",
        times,
        index=times.index(dataset.time_column) if dataset.time_column in times else 0,
        key=f"new_run_time_{version.id}",
    )
panels.quiet(
    f"{SPLIT_SENTENCES[method]} 60 % train, 20 % validate, 20 % test. The first split of a dataset locks its "
    "evaluation set: later runs are judged on the same rows."
)

if method == "time" and split_column in features:
    panels.notice(
        f"{split_column} cuts the split and is among the features: a model that knows when a row was "
        "recorded learns the past's calendar.",
        "attention",
    )

panels.section("How to learn")
able = {key: entry.title for key, entry in ALGORITHMS.items() if task in entry.tasks and key != "dummy"}
able |= {"dummy": ALGORITHMS["dummy"].title}
algorithm = ALGORITHMS[selection.pick("Algorithm", able, name="algorithm", width=320)]
panels.quiet(algorithm.sentence)
given: dict[str, Any] = {}
if algorithm.parameters:
    with st.grid(columns=3, min_column_width=220):
        for parameter in algorithm.parameters:
            with st.container():
                given[parameter.key] = parameter_field(algorithm, parameter)
seed = st.number_input(
    "Seed",
    value=0,
    min_value=0,
    max_value=2**32 - 1,
    step=1,
    width=220,
    help="Seeds the fit, never the split: runs on one version share their rows.",
    key="new_run_seed",
)

# With a state of its own it stays open when a choice in it changes what stands above.
more = st.expander("More: cross-validation, calibration, weights", key="new_run_more", on_change="rerun")
with more, st.grid(columns=3, min_column_width=220):
    with st.container():
        folds = choose_folds(method)
    with st.container():
        calibration = choose_calibration(task)
    with st.container():
        weight_column = choose_weights(weight_columns(version.columns, version.profile, target=target), key=weight_key)

if not features:
    panels.notice("Choose at least one feature.", "attention")
if st.button("Start the run", icon=":material/play_arrow:", type="primary", disabled=not features, key="new_run_start"):
    with session.act("Run queued") as act:
        run = request_run(
            act,
            spec=RunSpec(
                dataset_version_id=version.id,
                target=target,
                task=task,
                features=tuple(features),
                split=SplitOptions(method=method, column=split_column),
                algorithm=algorithm.key,
                parameters=given,
                seed=int(seed),
                folds=folds,
                calibration=calibration,
                weight_column=weight_column,
            ),
            actor=session.actor(),
            now=session.now(),
        )
    session.open_page("run", run=run.id)
