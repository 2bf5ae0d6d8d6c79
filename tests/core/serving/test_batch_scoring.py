from datetime import datetime

import pyarrow as pa
import pytest

from core.errors import SchemaMismatch
from core.permissions import Actor
from core.registry import queries
from core.registry.service import register_version
from core.serving.batch_scoring import score_file
from core.training.threshold_analysis import choose
from core.workspace import Workspace
from tests.factories import key
from tests.live_models import go_live, stream


def test_a_table_gets_predictions_beside_its_own_columns(workspace: Workspace, scientist: Actor, now: datetime) -> None:
    live = go_live(workspace, scientist, now, n_rows=400)
    table = stream(50, seed=3).append_column("prediction", pa.array(["mine"] * 50))
    scored = score_file(workspace, version_id=live.version_id, table=table)
    assert scored.column_names == [*table.column_names, "prediction_", "score:no", "score:yes"]
    assert scored["prediction"].to_pylist() == ["mine"] * 50
    for answer, no, yes in zip(*(scored[name].to_pylist() for name in scored.column_names[-3:]), strict=True):
        assert answer == ("yes" if yes > no else "no")
        assert no + yes == pytest.approx(1)
    with pytest.raises(SchemaMismatch, match="hours"):
        score_file(workspace, version_id=live.version_id, table=table.drop_columns(["hours"]))


def test_a_file_is_scored_by_the_threshold_of_the_version(
    workspace: Workspace, scientist: Actor, now: datetime
) -> None:
    live = go_live(workspace, scientist, now, n_rows=400)
    with workspace.read() as session:
        run_id = queries.version(session, live.version_id).run_id
    chosen = choose(workspace, run_id=run_id, threshold=0.2)
    with workspace.write() as session:
        version = register_version(session, run_id=run_id, model_name="pay", threshold=chosen, actor=scientist, now=now)
    table = stream(200, seed=3)
    usual, by_threshold = (
        score_file(workspace, version_id=version_id, table=table) for version_id in (live.version_id, key(version))
    )
    assert by_threshold["score:yes"] == usual["score:yes"]
    assert by_threshold["prediction"].to_pylist() == [
        "yes" if score >= 0.2 else "no" for score in usual["score:yes"].to_pylist()
    ]
    assert by_threshold["prediction"] != usual["prediction"]
