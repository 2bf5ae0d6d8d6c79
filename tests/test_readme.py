"""The README names everything the catalogues hold, and what it points to is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.datasets.checks import CHECKS
from core.drift.drift_tests import DRIFT_TESTS
from core.evaluation.metrics import METRICS
from core.governance.gates import GATES
from core.incidents.causes import CAUSES
from core.incidents.remedies import REMEDIES
from core.incidents.signs import SIGNS
from core.monitoring.alert_rules import ALERT_RULES
from core.permissions import Role
from core.registry.behaviour import BEHAVIOUR_TESTS
from core.settings import Settings
from core.training.algorithms import ALGORITHMS
from core.training.analyses import ANALYSES

README = Path(__file__).resolve().parent.parent / "README.md"


def entries() -> Iterator[tuple[str, str, str]]:
    """What there is, its key, and what people call it."""
    for metric in METRICS.values():
        yield "metric", metric.key, metric.title
    for check in CHECKS.values():
        yield "check", check.code, check.title
    for gate in GATES.values():
        yield "gate", gate.code, gate.title
    for test in DRIFT_TESTS.values():
        yield "drift test", test.key, test.title
    for rule in ALERT_RULES.values():
        yield "alert rule", rule.key, rule.title
    for cause in CAUSES.values():
        yield "cause", cause.key, cause.title
    for sign in SIGNS.values():
        yield "mark of a fault", sign.key, sign.title
    for remedy in REMEDIES.values():
        yield "remedy", remedy.key, remedy.title
    for behaviour in BEHAVIOUR_TESTS.values():
        yield "behaviour test", behaviour.key, behaviour.title
    for analysis in ANALYSES.values():
        yield "analysis", analysis.key, analysis.title
    for algorithm in ALGORITHMS.values():
        yield "algorithm", algorithm.key, algorithm.title
    for role in Role:
        yield "role", role.value, role.value
    for name in Settings.model_fields:
        yield "setting", f"GATEHOUSE_{name.upper()}", f"GATEHOUSE_{name.upper()}"


@pytest.fixture(scope="module")
def words() -> str:
    return re.sub(r"\s+", " ", README.read_text(encoding="utf-8")).casefold()


@pytest.mark.parametrize(("kind", "key", "title"), [pytest.param(*one, id=" ".join(one[:2])) for one in entries()])
def test_the_readme_names_it(kind: str, key: str, title: str, words: str) -> None:
    whole = (re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", words) for name in (key, title))
    assert any(whole), f"README.md names neither the {kind} {key!r} nor its title {title!r}"


def text() -> str:
    """The README as it is written."""
    return README.read_text(encoding="utf-8")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", text()))))
def test_what_it_links_to_is_there(target: str) -> None:
    assert (README.parent / target).is_file()


def test_it_links_every_page_of_the_documents() -> None:
    pages = {f"docs/{page.name}" for page in (README.parent / "docs").glob("*.md")}
    assert pages <= set(re.findall(r"\]\(([^)]+)\)", text()))


@pytest.mark.parametrize("place", sorted(set(re.findall(r"`((?:core|dashboard)/[\w/]+\.py): ([A-Z_]+)`", text()))))
def test_each_catalogue_is_where_it_says(place: tuple[str, str]) -> None:
    file, name = place
    assert re.search(rf"^{name}\b", (README.parent / file).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("line", re.findall(r"^gatehouse (.+)$", text(), re.MULTILINE))
def test_each_command_it_shows_exists(line: str) -> None:
    from typer.main import get_command

    from core.cli.main import app

    for one in line.split("#")[0].split("&&"):
        words = one.removeprefix(" gatehouse").split()
        command = get_command(app)
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        flags = {flag for option in command.params for flag in option.opts}
        assert {word for word in words if word.startswith("--")} <= flags
