"""CPU that one run of a page's script takes, measured in this process."""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from unittest.mock import patch

from streamlit.runtime.context import ContextProxy
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from core.access import queries as access
from core.access.service import sign_in_as
from core.database import utc_now
from core.permissions import Role
from dashboard.entrance import COOKIE
from dashboard.session import workspace

MAIN = Path(__file__).parents[2] / "dashboard" / "main.py"


@dataclass(frozen=True)
class Visit:
    """A page, its query, the role it is read as, and what else tells it from another visit to that page."""

    role: str
    page: str
    query: Mapping[str, str]
    detail: str = ""

    @property
    def title(self) -> str:
        """What the table calls it."""
        return f"{self.page} {self.detail}".strip()

    @property
    def address(self) -> str:
        """Its address in the browser."""
        return f"/{self.page}" + "".join(
            f"{'&' if place else '?'}{name}={value}" for place, (name, value) in enumerate(self.query.items())
        )


@contextmanager
def serving(home: Path, *, demo: bool) -> Iterator[None]:
    """Let the dashboard's code in this process serve a home, collecting no garbage after a run, as the web process."""
    settings = {
        "GATEHOUSE_HOME": str(home),
        "GATEHOUSE_DEMO": str(int(demo)),
        "STREAMLIT_RUNNER_POST_SCRIPT_GC": "false",
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    }
    # Streamlit warns of what is cached outside a page's script, and sets its loggers' levels anew; a filter stays.
    logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").addFilter(lambda _line: False)
    with patch.dict(os.environ, settings):
        yield
        workspace().close()


def token_of(role: str) -> str:
    """Sign in as the first account that has a role."""
    with workspace().write() as session:
        user = next(user for user in access.list_users(session) if Role(role) in user.roles)
        return sign_in_as(session, user_id=user.id, now=utc_now(), hours=12)


def script_cpu_ms(visit: Visit, *, times: int) -> tuple[float, ...]:
    """CPU of reruns of a page, all threads, after two runs to warm up; in milliseconds."""
    cookies = MappingProxyType({COOKIE: token_of(visit.role)})
    taken: list[float] = []
    run = LocalScriptRunner._run_script

    def timed(runner: LocalScriptRunner, request: object) -> None:
        began = time.process_time()
        run(runner, request)  # type: ignore[arg-type]
        taken.append((time.process_time() - began) * 1000)

    compiled = ScriptCache()
    with (
        # Compiled once, as in the web process; the runner of the tests would compile the page at every run.
        patch("streamlit.testing.v1.app_test.ScriptCache", lambda: compiled),
        patch("streamlit.testing.v1.local_script_runner.ScriptCache", lambda: compiled),
        patch.object(ContextProxy, "cookies", property(lambda _: cookies)),
        patch.object(LocalScriptRunner, "_run_script", timed),
    ):
        test = AppTest.from_file(str(MAIN), default_timeout=60)
        test.run()
        test.query_params.update(visit.query)
        test.switch_page(f"views/{visit.page}.py")
        test.run()
        if test.exception or not test.title:
            raise SystemExit(f"{visit.address} shows no page: {[one.message for one in test.exception]}")
        taken.clear()
        # As the web process does once it has started: what stays is not looked at again.
        gc.collect()
        gc.freeze()
        for _ in range(times):
            test.run()
    return tuple(taken)
