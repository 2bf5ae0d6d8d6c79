"""The whole life of a model through core alone: no user interface is even importable."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, sys
from pathlib import Path

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"streamlit", "plotly", "dashboard"}:
            raise ImportError(f"core must not import {name}")

sys.meta_path.insert(0, Refused())

from core.cli.demo import seed
from core.datasets import queries as datasets
from core.governance import queries as governance
from core.governance.integrity import verify_everything
from core.monitoring import alert_queries, drift_queries, performance_queries, window_queries
from core.monitoring import queries as monitoring
from core.registry import queries as registry
from core.settings import Settings
from core.workspace import opened

with opened(Settings(home=Path(sys.argv[1]), demo=True)) as workspace:
    steps = []
    seed(workspace, steps.append)
    report = verify_everything(workspace)
    with workspace.read() as session:
        churn = registry.model_by_name(session, "churn")
        monitor = monitoring.monitor_of(session, model_id=churn.id, environment="production", alias="champion")
        drifted = {
            column.feature
            for column in drift_queries.drift_map(session, monitor.id).columns
            if column.drifted and not column.is_prediction
        }
        quiet = [window.label for window in window_queries.windows(session, monitor.id) if window.state == "quiet"]
        found = {
            "steps": len(steps),
            "versions": [row.n_versions for row in registry.list_models(session)],
            "datasets": [row.name for row in datasets.list_datasets(session)],
            "open": [row.version_label for row in governance.open_requests(session)],
            "rollbacks": [row.cause for row in registry.deployments(session, churn.id)].count("rollback"),
            "alerts": len(alert_queries.open_alerts(session)),
            "drifted": sorted(drifted),
            "quiet": len(quiet),
            "labelled": sum(row.n_labelled for row in performance_queries.performance(session, monitor.id)),
            "intact": report.chain.intact and not report.damaged,
        }
    seed(workspace, steps.append)
    found["told_once"] = len(steps) == found["steps"]
print(json.dumps(found))
"""


@pytest.mark.slow
def test_the_whole_life_runs_without_any_user_interface(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "home")],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])

    assert found["datasets"] == ["subscribers", "tumour samples"]
    assert sum(found["versions"]) >= 5
    assert found["open"] == ["churn v3"]
    assert found["rollbacks"] == 1
    assert found["alerts"] >= 1
    # The stream moves one feature and no other, from its ninth month on.
    assert found["drifted"] == ["monthly_charge"]
    assert found["quiet"] == 3
    assert found["labelled"] > 0
    assert found["intact"]
    assert found["told_once"]
