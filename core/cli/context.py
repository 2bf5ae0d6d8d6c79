"""What every command shares: its three options, the opened home, who acts, and how an answer is shown.

A module of commands has ``register(app)``, which adds its commands and groups to the one `typer.Typer`, and is listed
in `core.cli.main.MODULES`. Everything slow to import is imported inside the command that needs it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from core.permissions import Actor
    from core.settings import Settings
    from core.workspace import Workspace

Home = Annotated[
    Path | None, typer.Option("--home", help="Folder of the database and the artifacts.", show_default="data/home")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
ActAs = Annotated[str | None, typer.Option("--as", help="The account to act as.", metavar="NAME")]


def settings_for(home: Path | None, **given: object) -> Settings:
    """The environment's settings, with what the command line gave in their place.

    Parameters
    ----------
    home : Path or None
    **given : object
        Other settings by name; None means not given.
    """
    from core.settings import Settings

    chosen: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if home is not None:
        chosen["home"] = home
    return Settings(**chosen)


@contextmanager
def opened_home(home: Path | None) -> Iterator[Workspace]:
    """The home, opened for the length of a command."""
    from core.workspace import opened

    with opened(settings_for(home)) as workspace:
        yield workspace


@contextmanager
def acting(home: Path | None, as_name: str | None) -> Iterator[tuple[Workspace, Actor]]:
    """The home and who acts in it: ``with acting(home, as_name) as (workspace, actor)``.

    Raises
    ------
    NotFound
        There is no account of this name.
    """
    from core.access.queries import shell_actor

    with opened_home(home) as workspace:
        with workspace.read() as session:
            actor = shell_actor(session, as_name)
        yield workspace, actor


def show(result: object, as_json: bool, text: str | None = None) -> None:
    """Print what a command found or made.

    Parameters
    ----------
    result : object
        JSON-ready values, dataclasses, table rows, or lists of them. Moments become ISO 8601.
    as_json : bool
        One JSON document, otherwise words: ``text`` where given, else a table for a list and lines for one thing.
    text : str, optional
    """
    plain = to_plain(result)
    if as_json:
        typer.echo(json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False))
    elif text is not None:
        typer.echo(literal(text))
    elif isinstance(plain, list):
        typer.echo(_table(plain))
    elif isinstance(plain, dict):
        width = max((len(key) for key in plain), default=0)
        typer.echo("\n".join(f"{key.replace('_', ' '):<{width}}  {_cell(value)}" for key, value in plain.items()))
    else:
        typer.echo(_cell(plain))


def to_plain(value: object) -> Any:
    """Turn dataclasses, table rows, moments and tuples into what JSON knows."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [to_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return to_plain(asdict(value))
    if hasattr(value, "model_dump"):
        return to_plain(value.model_dump())
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def literal(text: str) -> str:
    """Text as it is, but for control characters, which a terminal would obey: those are shown escaped."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return ", ".join(_cell(item) for item in value) or "-"
    if isinstance(value, dict | list):
        return literal(json.dumps(value, ensure_ascii=False))
    return literal(str(value)).replace("\n", "\\n").replace("\t", "\\t")


def _table(rows: list[Any]) -> str:
    if not rows:
        return "None."
    if not all(isinstance(row, dict) for row in rows):
        return "\n".join(_cell(row) for row in rows)
    columns = list(rows[0])
    cells = [[column.replace("_", " ") for column in columns]]
    cells += [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )
