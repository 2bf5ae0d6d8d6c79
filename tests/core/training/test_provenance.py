from pathlib import Path

import pytest

import core
from core.training import provenance


def test_the_code_version_names_the_release() -> None:
    assert provenance.code_version().split("+")[0] == core.__version__


def test_package_versions_name_what_takes_part_in_a_fit() -> None:
    import sklearn

    versions = provenance.package_versions()
    assert versions["scikit-learn"] == sklearn.__version__
    assert all(versions.values())


@pytest.mark.parametrize(
    "files",
    [
        {"HEAD": "ref: refs/heads/main\n", "refs/heads/main": "abc123\n"},
        {"HEAD": "abc123\n"},
        {"HEAD": "ref: refs/heads/main\n", "packed-refs": "# packed\nabc123 refs/heads/main\n"},
    ],
    ids=["branch", "detached", "packed"],
)
def test_the_commit_of_a_checkout_is_read(tmp_path: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = tmp_path / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    assert provenance.commit_of(tmp_path / ".git") == "abc123"


def test_a_linked_checkout_and_none_at_all(tmp_path: Path) -> None:
    common = tmp_path / "whole" / ".git"
    linked = common / "worktrees" / "second"
    linked.mkdir(parents=True)
    (common / "refs" / "heads").mkdir(parents=True)
    (common / "refs" / "heads" / "topic").write_text("def456\n", "utf-8")
    (linked / "HEAD").write_text("ref: refs/heads/topic\n", "utf-8")
    (linked / "commondir").write_text("../..\n", "utf-8")
    pointer = tmp_path / "second"
    pointer.mkdir()
    (pointer / ".git").write_text(f"gitdir: {linked}\n", "utf-8")
    assert provenance.commit_of(pointer / ".git") == "def456"
    assert provenance.commit_of(tmp_path / "nowhere" / ".git") is None
