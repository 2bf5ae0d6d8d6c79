from datetime import datetime

import pyarrow as pa
import pytest

from core.errors import SchemaMismatch
from core.permissions import Actor
from core.serving.batch_scoring import score_file
from core.workspace import Workspace
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
