"""Which code and which libraries a run was made with."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

import core

PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops", "threadpoolctl")


def code_version() -> str:
    """Gatehouse's version, with the commit where it runs from a checkout: "0.1.0+1a2b3c4d5e6f"."""
    commit = commit_of(Path(core.__file__).resolve().parent.parent / ".git")
    return f"{core.__version__}+{commit[:12]}" if commit else core.__version__


def package_versions() -> dict[str, str]:
    """Versions of Python and of each library that takes part in a fit."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}


def commit_of(folder: Path) -> str | None:
    """The commit a checkout's ``.git`` is at; None where there is no checkout."""
    # Read, not asked of git: it need not be installed, and a worktree's .git is a file that names the folder.
    try:
        if folder.is_file():
            folder = Path(folder.read_text("utf-8").removeprefix("gitdir:").strip())
        head = (folder / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return head
        reference = head.removeprefix("ref: ")
        common = folder
        if (folder / "commondir").exists():
            common = folder / (folder / "commondir").read_text("utf-8").strip()
        if (common / reference).exists():
            return (common / reference).read_text("utf-8").strip()
        for line in (common / "packed-refs").read_text("utf-8").splitlines():
            if line.endswith(" " + reference):
                return line.split()[0]
    except OSError:
        return None
    return None
