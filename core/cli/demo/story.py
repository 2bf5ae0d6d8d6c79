"""The story: two models, a year of subscribers, one price rise nobody told the model about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pandas as pd

from core.cli.demo.narrator import Narrator
from core.cli.demo.people import Cast, hire
from core.cli.demo.stream import month
from core.database import utc_now
from core.datasets import queries as datasets
from core.governance import policies
from core.governance import queries as approvals
from core.governance import service as governance
from core.governance.tables import DecisionKind
from core.monitoring import alert_queries
from core.monitoring import queries as monitors
from core.monitoring import service as monitoring
from core.registry import queries as registry
from core.registry import retraining
from core.registry.tables import Alias, Environment
from core.serving.answering import ModelCache, find_live, predict
from core.serving.log import PredictionLog
from core.workspace import Workspace

MONTHS = 10
TRAINED_MONTHS = 5
ROWS_A_MONTH = 1_200
FEATURES = (
    "gender", "region", "contract", "payment", "tenure_months", "monthly_charge", "data_gb", "support_calls",
)  # fmt: skip
FOLDS = 5
CHURN_SUITE = (
    {"test": "invariance", "column": "gender"},
    {"test": "direction", "column": "support_calls", "direction": "up"},
    {"test": "direction", "column": "monthly_charge", "direction": "up"},
    {"test": "direction", "column": "tenure_months", "direction": "down"},
    {"test": "noise"},
    {"test": "missing_columns"},
    {"test": "extremes"},
    {"test": "latency", "limit": 1_000.0},
    {"test": "size", "limit": 20.0},
)
CHURN_CARD = {
    "intended_use": "Ranks subscribers for a retention call in the coming month. A person decides whom to call.",
    "out_of_scope": "Prices, credit, or ending a contract.",
    "limitations": "Trained on home subscribers only. A change of tariffs moves what it has learned from.",
}
TUMOUR_CARD = {
    "intended_use": "Second reading of a fine-needle sample, after a pathologist's own.",
    "out_of_scope": "Any diagnosis without a pathologist.",
    "limitations": "569 samples of one clinic; intervals are wide.",
}


def seed(workspace: Workspace, report: Callable[[str], None]) -> None:
    """Tell the story in an empty home; does nothing in a home that has accounts.

    Parameters
    ----------
    workspace : Workspace
    report : callable
        Called with one line a step.
    """
    with workspace.read() as session:
        if datasets.list_datasets(session):
            return
    today = utc_now()
    start = _months_before(today, MONTHS)
    narrator = Narrator(workspace, start, report)
    narrator.at(start, "People join: an administrator, a data scientist, a reviewer, an operator, an auditor, a viewer")
    cast = hire(workspace, narrator.now)
    with workspace.write() as session:
        policies.ensure_seeded_policy(session, narrator.now)
    _tumour(narrator, cast, start + timedelta(days=20))
    _churn(narrator, cast, start, today)


def _tumour(narrator: Narrator, cast: Cast, moment: datetime) -> None:
    narrator.at(moment, "Sam uploads 569 tumour samples and trains two models on them")
    from sklearn.datasets import load_breast_cancer

    bundled = load_breast_cancer(as_frame=True)
    frame = bundled.frame.filter(like="mean").assign(
        diagnosis=bundled.target.map(dict(enumerate(bundled.target_names)))
    )
    version = narrator.add_version(
        frame, dataset="tumour samples", file_name="wisconsin.csv", who=cast.sam, target="diagnosis"
    )
    features = tuple(name for name in frame.columns if name != "diagnosis")
    first = narrator.train(
        version, target="diagnosis", features=features, algorithm="logistic_regression", who=cast.sam
    )
    second = narrator.train(
        version, target="diagnosis", features=features, algorithm="random_forest", who=cast.sam,
        parameters={"n_estimators": 60},
    )  # fmt: skip
    champion = narrator.register(
        first, model="tumour", who=cast.sam, description="Benign or malignant, from the shape of cell nuclei."
    )
    narrator.write_card(champion, TUMOUR_CARD, cast.sam)
    asked = narrator.request(champion, comment="First model; beats the dummy by far.", who=cast.sam)
    narrator.decide(asked, DecisionKind.APPROVE, comment="Fine as a second reading.", who=cast.rita)
    challenger = narrator.register(second, model="tumour", who=cast.sam)
    narrator.at(narrator.now + timedelta(days=6), "Rita rejects a second tumour model: the rows cannot tell it apart")
    asked = narrator.request(challenger, comment="A forest might do better here.", who=cast.sam)
    narrator.decide(
        asked, DecisionKind.REJECT, comment="Not better on these rows, and harder to explain.", who=cast.rita
    )


def _churn(narrator: Narrator, cast: Cast, start: datetime, today: datetime) -> None:
    workspace = narrator.workspace
    months = [month(start.date(), index, n_rows=ROWS_A_MONTH) for index in range(MONTHS)]
    begins = [start if index == 0 else _months_after(start, index) for index in range(MONTHS + 1)]

    narrator.at(begins[TRAINED_MONTHS], f"Sam uploads {TRAINED_MONTHS} months of subscribers and trains five models")
    version = narrator.add_version(
        pd.concat(months[:TRAINED_MONTHS]),
        dataset="subscribers",
        file_name="subscribers-first-months.csv",
        who=cast.sam,
        target="left",
        sensitive=("gender",),
        time_column="observed_on",
    )
    # A call costs an hour of the team's time, a subscriber who leaves uncalled about three and a half.
    narrator.set_costs(version, labels=("no", "yes"), false_alarm=1.0, miss=3.5, who=cast.sam)
    runs = {
        algorithm: narrator.train(
            version, target="left", features=FEATURES, algorithm=algorithm, who=cast.sam, parameters=parameters,
            folds=folds,
        )
        for algorithm, parameters, folds in (
            ("logistic_regression", {}, FOLDS),  # first: the list of runs compares against the oldest
            ("dummy", {}, 0),
            ("random_forest", {"n_estimators": 60}, 0),
            ("hist_gradient_boosting", {}, 0),
        )
    }  # fmt: skip
    recalibrated = narrator.recalibrate(runs["random_forest"], "isotonic", cast.sam)
    baseline = runs["logistic_regression"]
    others = [run_id for run_id in (*runs.values(), recalibrated) if run_id != baseline]
    narrator.compare(baseline, others, cast.sam)
    first = narrator.register(baseline, model="churn", who=cast.sam, description="Who will leave in the coming month.")
    narrator.write_card(first, CHURN_CARD, cast.sam)
    asked = narrator.request(first, comment="First model: simple, and well above the dummy.", who=cast.sam)
    narrator.decide(asked, DecisionKind.APPROVE, comment="Simple, and it says what it knows.", who=cast.rita)
    with workspace.read() as session:
        model_id = registry.model_by_name(session, "churn").id
    assert model_id is not None
    narrator.write_suite(
        model_id,
        CHURN_SUITE,
        reason="More calls to support, a higher charge or a shorter stay never make a subscriber likelier to remain.",
        version_id=first,
        who=cast.sam,
    )

    narrator.at(begins[TRAINED_MONTHS + 1], "A second churn model goes live; Olga rolls it back two days later")
    narrator.add_batch(
        model_id, months[TRAINED_MONTHS], file_name="month-6.csv", time_column="observed_on", who=cast.olga
    )
    second = narrator.register(recalibrated, model="churn", who=cast.sam)
    narrator.write_card(second, CHURN_CARD, cast.sam)
    asked = narrator.request(second, comment="A forest, to be tried beside the linear model for a week.", who=cast.sam)
    _approve_or_waive(narrator, cast, asked)
    narrator.now += timedelta(days=2)
    with workspace.write() as session:
        held = registry.live(session, model_id=model_id)
        if held is not None and held.version_id == second:
            governance.roll_back(
                session,
                model_id=model_id,
                environment=Environment.PRODUCTION,
                alias=Alias.CHAMPION,
                reason="The retention team saw the same subscribers called twice; back to v1 until it is understood.",
                actor=cast.olga,
                now=narrator.now,
            )

    for index in range(TRAINED_MONTHS + 1, MONTHS):
        rows, said = months[index], f"Month {index + 1} of production arrives with its labels"
        if index == MONTHS - 1:
            rows, said = rows.drop(columns="left"), f"Month {index + 1} arrives; its labels are not known yet"
        narrator.at(begins[index + 1], said)
        narrator.add_batch(model_id, rows, file_name=f"month-{index + 1}.csv", time_column="observed_on", who=cast.olga)
        if index == MONTHS - 2:
            _resolve(narrator, cast, "Billing raised prices this month: expected. Retraining once labels are in.")

    narrator.at(max(narrator.now, today - timedelta(days=3)), "Sam adds the labelled months and retrains in one click")
    version = narrator.add_version(
        pd.concat(months[TRAINED_MONTHS : MONTHS - 1]),
        dataset="subscribers",
        file_name="subscribers-later-months.csv",
        who=cast.sam,
        target="left",
        sensitive=("gender",),
        time_column="observed_on",
        adds_to=version,
    )
    with workspace.write() as session:
        run = retraining.request_retraining(
            session, model_id=model_id, dataset_version_id=version, actor=cast.sam, now=narrator.now
        )
        run_id, job_id = run.id, run.job_id
    narrator.wait_for(job_id)
    assert run_id is not None
    compared = narrator.compare(baseline, [*others, run_id], cast.sam)
    foremost = max((one for one in compared if "effect" in one), key=lambda one: float(one["effect"]))
    narrator.analyse(foremost["candidate_run_id"], "changes", {"baseline_run_id": baseline}, cast.sam)
    third = narrator.register(run_id, model="churn", who=cast.sam, rule="cost")
    with workspace.read() as session:
        thresholds = {"before": None, "after": registry.version(session, third).signature["threshold"]}
    narrator.analyse(run_id, "changes", {"baseline_run_id": baseline, "thresholds": thresholds}, cast.sam)
    narrator.write_card(third, CHURN_CARD, cast.sam)
    narrator.at(today - timedelta(days=1, hours=2), "Sam asks for its promotion; the request waits for Rita")
    narrator.request(
        third,
        comment="Retrained with the labelled months since, the one after the price rise among them. It calls from the "
        "score on at which calls and missed subscribers together cost least.",
        who=cast.sam,
    )
    _answer(narrator, cast, model_id, months[-1], today)


def _approve_or_waive(narrator: Narrator, cast: Cast, request_id: int) -> None:
    """Approve; where a gate blocks, waive it for a week as a person would who wants to try."""
    with narrator.workspace.write() as session:
        page = approvals.decision_page(session, request_id, cast.rita, narrator.now)
        for gate in page.gates:
            if gate.blocks:
                governance.grant_waiver(
                    session,
                    request_id=request_id,
                    gate=gate.code,
                    reason="Tried for a week with the retention team; Olga rolls it back if calls do not improve.",
                    until=narrator.now + timedelta(days=7),
                    actor=cast.rita,
                    now=narrator.now + timedelta(minutes=1),
                )
    narrator.decide(request_id, DecisionKind.APPROVE, comment="For a trial; Olga watches it.", who=cast.rita)


def _resolve(narrator: Narrator, cast: Cast, note: str) -> None:
    with narrator.workspace.write() as session:
        for alert in alert_queries.open_alerts(session):
            monitoring.resolve_alert(
                session, alert_id=alert.id, note=note, actor=cast.olga, now=narrator.now + timedelta(hours=3)
            )


def _answer(narrator: Narrator, cast: Cast, model_id: int, rows: pd.DataFrame, today: datetime) -> None:
    """Let the live version answer over the last days; labels come in for the older half of the answers."""
    narrator.at(today - timedelta(hours=20), "The live model answers requests; the first labels for them arrive")
    workspace = narrator.workspace
    with workspace.read() as session:
        found = find_live(session, model_name="churn", environment=Environment.PRODUCTION, alias=Alias.CHAMPION)
    log, models = PredictionLog(workspace, Environment.PRODUCTION), ModelCache(workspace.artifacts)
    asked = rows.sample(400, random_state=3)
    records = [
        {str(key): value for key, value in row.items()}
        for row in asked[list(FEATURES)].astype(object).to_dict(orient="records")
    ]
    known: list[dict[str, str]] = []
    for position in range(0, len(records), 20):
        moment = today - timedelta(hours=19) + timedelta(minutes=50 * position / 20)
        answer = predict(
            found, records[position : position + 20], actor=cast.olga, models=models, log=log,
            clock=partial(datetime.fromisoformat, moment.isoformat()),
        )  # fmt: skip
        for one, label in zip(answer["predictions"], asked["left"].iloc[position : position + 20], strict=True):
            known.append({"prediction_id": one["prediction_id"], "left": str(label)})
    log.close()
    upload_id, options = narrator.upload(pd.DataFrame(known[: len(known) // 2]), "labels.csv", cast.olga)
    with workspace.write() as session:
        job = monitoring.add_labels(
            session,
            model_id=model_id,
            upload_id=upload_id,
            options=options,
            id_column="prediction_id",
            label_column="left",
            actor=cast.olga,
            now=narrator.now,
        )
        job_id = job.id
    narrator.wait_for(job_id)
    with workspace.write() as session:
        monitor = monitors.monitor_of(
            session, model_id=model_id, environment=Environment.PRODUCTION, alias=Alias.CHAMPION
        )
        assert monitor is not None
        assert monitor.id is not None
        job_id = monitoring.refresh(session, monitor_id=monitor.id, actor=cast.olga, now=narrator.now).id
    narrator.wait_for(job_id)


def _months_before(moment: datetime, count: int) -> datetime:
    return _months_after(moment.replace(day=1, hour=9, minute=0, second=0, microsecond=0), -count)


def _months_after(first: datetime, count: int) -> datetime:
    years, index = divmod(first.month - 1 + count, 12)
    return first.replace(year=first.year + years, month=index + 1)
