"""Every page of the demo: settled in a fresh tab, settled inside the app, and the CPU of its script.

python -m tests.benchmarks.pages [ROUNDS]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from playwright.sync_api import BrowserContext
from sqlmodel import col, select

from core.datasets.tables import DatasetVersion
from core.governance.tables import PromotionRequest, RequestState
from core.monitoring.tables import Monitor
from core.permissions import Role
from core.registry.tables import ModelVersion
from core.settings import Settings
from core.training.tables import Run
from core.workspace import opened
from tests.benchmarks.figures import Figure, table, worst
from tests.benchmarks.scripts import Visit, script_cpu_ms, serving
from tests.benchmarks.visiting import act_as, back, browsing, fresh_tab, running, settle, within

FRESH_S, INSIDE_S, SCRIPT_MS = 3.0, 1.0, 150.0
SCRIPT_RUNS = 9


def visits(home: Path) -> list[Visit]:
    """Every page of the demo on what there is most of, each as a role that works there, grouped by role."""
    with opened(Settings(home=home)) as workspace, workspace.read() as session:
        version = session.exec(select(DatasetVersion).order_by(col(DatasetVersion.n_rows).desc())).first()
        first, *others = session.exec(
            select(Run.id).where(Run.target == "left", Run.state == "finished").order_by(col(Run.id))
        )
        latest = session.exec(select(ModelVersion).order_by(col(ModelVersion.id).desc())).first()
        request = session.exec(select(PromotionRequest).where(PromotionRequest.state == RequestState.OPEN)).first()
        assert version is not None
        assert latest is not None
        assert request is not None
        monitor = session.exec(select(Monitor).where(Monitor.model_id == latest.model_id)).first()
        assert monitor is not None
    compared = {"runs": ",".join(str(one) for one in (first, *others)), "baseline": str(first)}
    return [
        *(Visit(Role.DATA_SCIENTIST, page, {}) for page in ("overview", "datasets", "runs", "models")),
        Visit(Role.DATA_SCIENTIST, "dataset", {"dataset": str(version.dataset_id)}),
        Visit(Role.DATA_SCIENTIST, "run", {"run": str(others[0])}),
        Visit(Role.DATA_SCIENTIST, "new_run", {"version": str(version.id)}),
        Visit(Role.DATA_SCIENTIST, "compare", compared),
        Visit(Role.DATA_SCIENTIST, "model", {"model": str(latest.model_id)}),
        *(Visit(Role.REVIEWER, page, {}) for page in ("inbox", "approvals")),
        Visit(Role.REVIEWER, "request", {"request": str(request.id)}),
        *(Visit(Role.OPERATOR, page, {}) for page in ("deployments", "monitoring")),
        Visit(Role.OPERATOR, "monitor", {"monitor": str(monitor.id)}),
        Visit(Role.AUDITOR, "audit", {}),
        Visit(Role.ADMINISTRATOR, "settings", {}),
    ]


def settled(context: BrowserContext, base: str, wanted: Sequence[Visit], *, rounds: int) -> dict[str, list[Figure]]:
    """Seconds until each page is settled: "fresh" in a new tab, "inside" reached without loading anything anew.

    A page of the sidebar is reached by a click there, another with the browser's back button from the overview.
    """
    found: dict[str, list[Figure]] = {"fresh": [], "inside": []}
    for role, group in groupby(wanted, key=lambda visit: visit.role):
        act_as(context, base, role)
        fresh_tab(context, base, "/overview")  # what the browser keeps of scripts and fonts
        for visit in group:
            path = f"/{visit.page}"
            fresh_tab(context, base, visit.address)
            fresh = [fresh_tab(context, base, visit.address) for _ in range(rounds)]
            page = context.new_page()
            page.goto(base + visit.address)
            settle(page, path)
            other = "/models" if visit.page == "overview" else "/overview"
            in_sidebar = page.locator(f'[data-testid="stSidebarNavLink"][href$="{path}"]').count() > 0
            inside = []
            for _ in range(rounds):
                within(page, other)
                page.wait_for_timeout(300)
                inside.append(within(page, path) if in_sidebar else back(page, path))
                page.wait_for_timeout(300)
            page.close()
            found["fresh"].append(Figure(f"fresh tab: {visit.title}", tuple(fresh), "s", FRESH_S))
            found["inside"].append(Figure(f"inside the app: {visit.title}", tuple(inside), "s", INSIDE_S))
    return found


def scripts(home: Path, wanted: Sequence[Visit], *, demo: bool) -> list[Figure]:
    """CPU of one run of each page's script."""
    with serving(home, demo=demo):
        return [
            Figure(f"script CPU: {visit.title}", script_cpu_ms(visit, times=SCRIPT_RUNS), "ms", SCRIPT_MS)
            for visit in wanted
        ]


def figures(rounds: int = 3) -> list[Figure]:
    """Start the demo and measure all of its pages; the worst of each kind first."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "demo"
        with running(home, "--demo") as gatehouse, browsing() as context:
            wanted = visits(home)
            found = settled(context, gatehouse.url, wanted, rounds=rounds)
        ran = scripts(home, wanted, demo=True)
    return [
        worst("pages, fresh tab", found["fresh"], target=FRESH_S),
        worst("pages, inside the app", found["inside"], target=INSIDE_S),
        worst("pages, script CPU", ran, target=SCRIPT_MS),
        *found["fresh"],
        *found["inside"],
        *ran,
    ]


if __name__ == "__main__":
    print(table(figures(*(int(argument) for argument in sys.argv[1:]))))  # noqa: T201
