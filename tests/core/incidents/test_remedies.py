"""What each remedy says it will and will not do, situation by situation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from core.incidents.causes import CAUSES
from core.incidents.remedies import REMEDIES, Destination, Situation, options

SINCE = datetime(2026, 7, 1, tzinfo=UTC)
SITUATION = Situation(
    cause="input_shift",
    since=SINCE,
    live="pay v2",
    live_since=datetime(2026, 6, 3, tzinfo=UTC),
    earlier="pay v1",
    earlier_features=frozenset({"hours", "age"}),
    drifted=("hours",),
    importance={"hours": 0.3, "age": 0.6, "job": 0.02},
    n_features=3,
    n_train=6_000,
    n_labelled=150,
    dataset_id=7,
    dataset_number=1,
    dataset_version_id=11,
    monitor_id=3,
    model_id=4,
)


def of(situation: Situation, key: str) -> Any:
    return next(one for one in options(situation) if one.key == key)


@pytest.mark.parametrize("cause", CAUSES)
def test_every_remedy_has_a_consequence_in_every_situation(cause: str) -> None:
    for situation in (replace(SITUATION, cause=cause), Situation(cause=cause, since=SINCE)):
        found = options(situation)
        assert {one.key for one in found} == REMEDIES.keys()
        assert all(one.consequence for one in found)
        assert [one.advised for one in found] == sorted((one.advised for one in found), reverse=True)


@pytest.mark.parametrize(
    ("cause", "advised"),
    [
        ("pipeline_fault", {"fix_pipeline"}),
        ("input_shift", set()),  # too few labelled rows to retrain on yet
        ("label_shift", set()),
        ("concept_change", set()),
        ("seasonal_return", {"watch"}),
        ("new_version", {"roll_back"}),
        ("infrastructure", {"scale"}),
        ("cannot_tell", {"add_labels", "watch"}),
        ("none", {"watch"}),
    ],
)
def test_what_is_advised_follows_from_the_cause(cause: str, advised: set[str]) -> None:
    assert {one.key for one in options(replace(SITUATION, cause=cause)) if one.advised} == advised


@pytest.mark.parametrize(
    ("over", "said", "advised"),
    [
        ({}, "A rollback will not help: pay v1 receives the same input.", False),
        (
            {"cause": "pipeline_fault", "faulty": ("job",)},
            "pay v1 does not use job, so it is not touched by this.",
            True,
        ),
        (
            {"cause": "new_version"},
            "pay v2 is live only since 3 Jun 2026. pay v1 answered before and answers again from the next request on.",
            True,
        ),
        ({"cause": "concept_change"}, "A rollback will not help: pay v1 learned from older outcomes still.", False),
        (
            {"cause": "infrastructure"},
            "A rollback will not help: the service is at fault, not the version.",
            False,
        ),
        (
            {"earlier": None, "cause": "new_version"},
            "There is nothing to roll back to: no version was live before pay v2.",
            False,
        ),
    ],
)
def test_a_rollback_says_whether_the_earlier_version_is_spared(over: dict[str, Any], said: str, advised: bool) -> None:
    found = of(replace(SITUATION, **over), "roll_back")
    assert (found.consequence, found.advised) == (said, advised)


@pytest.mark.parametrize(
    ("over", "said", "advised"),
    [
        (
            {},
            "It needs 600 labelled rows from 1 Jul 2026 on, when this began; 150 are in. Add labels, or a newer "
            "version of the data, first.",
            False,
        ),
        (
            {"n_labelled": 900},
            "It needs 600 labelled rows from 1 Jul 2026 on, when this began; 900 are in. They are production rows: "
            "add them as a version of the data. It takes a new promotion request to go live.",
            True,
        ),
        (
            {"newer_version": 12, "newer_label": "pay v2", "newer_number": 2, "newer_rows": 4_000},
            "It needs 600 labelled rows from 1 Jul 2026 on, when this began; 4,000 are in. pay v2 holds them. It takes "
            "a new promotion request to go live.",
            True,
        ),
        (
            {"cause": "pipeline_fault", "n_labelled": 9_000},
            "Not before the pipeline is fixed: a new version would learn the fault.",
            False,
        ),
        (
            {"cause": "seasonal_return", "n_labelled": 9_000},
            "It would chase the season: by the time it is over the version is wrong again.",
            False,
        ),
    ],
)
def test_retraining_counts_the_rows_it_has(over: dict[str, Any], said: str, advised: bool) -> None:
    found = of(replace(SITUATION, **over), "retrain")
    assert (found.consequence, found.advised) == (said, advised)


def test_retraining_leads_to_the_newest_data() -> None:
    newer = replace(SITUATION, newer_version=12, newer_number=2)
    assert of(newer, "retrain").destination == Destination("dataset", {"dataset": 7, "version": 2})


def test_a_feature_that_matters_little_may_be_left_out() -> None:
    found = of(replace(SITUATION, cause="pipeline_fault", faulty=("job",)), "change_features")
    assert found.advised
    assert found.consequence == (
        "A new version without job is not touched by this, and loses 2 % of what the features tell it. "
        "It takes a new run."
    )
    assert found.destination == Destination("new_run", {"version": 11, "without": "job"})
    assert not of(replace(SITUATION, cause="pipeline_fault", faulty=("hours",)), "change_features").advised


def test_leaving_out_every_feature_or_none_is_no_way() -> None:
    for over, said in (
        ({"drifted": ()}, "No single feature is to blame"),
        ({"faulty": ("hours", "age", "job")}, "leaving them out leaves none"),
    ):
        found = of(replace(SITUATION, **over), "change_features")
        assert said in found.consequence
        assert found.destination is None


def test_a_season_is_set_among_the_monitors_settings() -> None:
    season = replace(SITUATION, cause="seasonal_return")
    assert of(season, "watch").destination == Destination("monitor", {"monitor": 3, "view": "settings"})
    assert "compare like seasons" in of(season, "watch").consequence
    watched = replace(season, season_watched=True)
    assert of(watched, "watch").destination == Destination("monitor", {"monitor": 3})
    assert "compare like seasons" not in of(watched, "watch").consequence


def test_no_rollback_leads_nowhere() -> None:
    assert of(SITUATION, "roll_back").destination == Destination("deployments", {"model": 4})
    assert of(replace(SITUATION, earlier=None), "roll_back").destination is None


def test_without_a_monitor_only_what_needs_none_leads_anywhere() -> None:
    bare = Situation(cause="infrastructure", since=SINCE)
    assert {one.key for one in options(bare) if one.destination is not None} == {"scale"}
