"""The behaviour suite as evidence of a request: what is bound is what is on record."""

from __future__ import annotations

from datetime import datetime

from core.governance import standing
from core.governance.judging import BehaviourRun
from core.permissions import Actor
from core.registry import suites
from core.workspace import Workspace
from tests.factories import key, make_model_version, make_run


def latency(milliseconds: float) -> list[dict[str, object]]:
    """The one outcome that no two measurements share."""
    entry = {"test": "latency", "limit": 250.0, "title": "Latency", "outcome": "passed"}
    return [{**entry, "value": milliseconds, "explanation": f"One row takes {milliseconds:g} ms; 250 ms are allowed."}]


def test_evidence_is_not_stale_when_registering_ran_the_suite_meanwhile(
    workspace: Workspace, scientist: Actor, now: datetime
) -> None:
    with workspace.write() as session:
        version = make_model_version(session, run_id=key(make_run(session)))
        suite = suites.ensure_suite(session, version=version, now=now)
        asked = {"version_id": key(version), "suite_id": key(suite), "n_rows": 500, "actor": scientist, "now": now}
        first = suites.record_behaviour(session, outcomes=latency(51.0), **asked)
        measured = BehaviourRun(key(version), suite, latency(103.0), 400)

        kept = measured.record(session, scientist, now)

        assert (kept.outcomes, kept.n_rows) == (first.outcomes, 500)
        bound = standing.bound_values(
            session, version_id=key(version), environment="production", alias="champion", evaluation_ids=[]
        )
        assert bound["behaviour"] == standing.behaviour_digest(suite, kept.outcomes)
