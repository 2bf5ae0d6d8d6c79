"""Commands on behaviour suites: what a model must do, and how its versions did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from core.cli.context import ActAs, AsJson, Home, acting, show
from core.errors import InvalidInput

Model = Annotated[str, typer.Argument(metavar="M", help="A registered model.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="Behaviour suites.", no_args_is_help=True, rich_markup_mode=None)
    group.command("show")(show_suite)
    group.command("run")(run_suite)
    group.command("edit")(edit_suite)
    app.add_typer(group, name="behaviour")


def show_suite(model: Model, home: Home = None, as_name: ActAs = None, as_json: AsJson = False) -> None:
    """Show the suite in force and how each version did on it."""
    from core.permissions import Permission, require
    from core.registry import queries
    from core.registry.behaviour import title_of

    with acting(home, as_name) as (workspace, actor), workspace.read() as session:
        require(actor, Permission.MODEL_READ)
        found = queries.model_by_name(session, model)
        suite = queries.suite(session, found.id or 0)
        if suite is None:
            show({"model": model, "suite": None}, as_json, f"{model} has no suite yet; its first run makes one.")
            return
        results = {}
        for version in queries.versions(session, found.id or 0):
            done = queries.behaviour_result(session, version_id=version.id or 0, suite_id=suite.id or 0)
            results[f"v{version.number}"] = None if done is None else done.outcomes
        said = [
            f"Suite {suite.number} of {model}: {', '.join(title_of(one) for one in suite.tests)}.",
            *(
                f"{label}: not run"
                if done is None
                else f"{label}: {sum(one['outcome'] == 'passed' for one in done)} of {len(done)} passed"
                for label, done in results.items()
            ),
        ]
        show(
            {"model": model, "suite": suite.number, "tests": suite.tests, "results": results}, as_json, "\n".join(said)
        )


def run_suite(
    version: Annotated[str, typer.Argument(metavar="M@V", help="A model version: income@3.")],
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Run the suite in force on a version; waits for the end."""
    from core.cli.waiting import finish
    from core.database import utc_now
    from core.registry import queries
    from core.registry.suites import request_behaviour

    with acting(home, as_name) as (workspace, actor):
        with workspace.write() as session:
            version_id = queries.resolve_version(session, version).id or 0
            job = request_behaviour(session, version_id=version_id, actor=actor, now=utc_now())
        finish(workspace, job.id)
        with workspace.read() as session:
            suite = queries.suite(session, queries.version(session, version_id).model_id)
            assert suite is not None
            done = queries.behaviour_result(session, version_id=version_id, suite_id=suite.id or 0)
        assert done is not None
        said = [f"{one['title']}: {one['outcome'].replace('_', ' ')}. {one['explanation']}" for one in done.outcomes]
        show({"version": version, "suite": suite.number, "outcomes": done.outcomes}, as_json, "\n".join(said))


def edit_suite(
    model: Model,
    file: Annotated[Path, typer.Option("--file", exists=True, dir_okay=False, help="A JSON list of tests.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    home: Home = None,
    as_name: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Write the next version of a model's suite: [{"test": "invariance", "column": "sex", "limit": 0.02}, ...]."""
    from core.database import utc_now
    from core.registry import queries
    from core.registry.suites import save_suite

    try:
        tests = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{file.name} is not JSON: {error}. Write a list of tests.") from error
    if not isinstance(tests, list) or not all(isinstance(one, dict) for one in tests):
        raise InvalidInput(f"{file.name} holds no list of tests; write [{{'test': 'size', 'limit': 50}}, …] in JSON.")
    with acting(home, as_name) as (workspace, actor), workspace.write() as session:
        suite = save_suite(
            session,
            model_id=queries.model_by_name(session, model).id or 0,
            tests=tests,
            reason=reason,
            actor=actor,
            now=utc_now(),
        )
        show({"model": model, "suite": suite.number}, as_json, f"{model} is held to suite {suite.number} now.")
