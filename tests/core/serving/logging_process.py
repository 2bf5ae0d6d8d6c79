"""A process that logs predictions until it is killed; says each id on its standard output once it is in the log."""

import sys
from pathlib import Path

from core.database import utc_now
from core.serving.log import Answered, PredictionLog
from core.settings import Settings
from core.workspace import open_workspace


def main(home: str, model_id: int, version_id: int, seal_every: int) -> None:
    """Append for ever, sealing after every ``seal_every`` requests."""
    workspace = open_workspace(Settings(home=Path(home)))
    log = PredictionLog(workspace, "production")
    number = 0
    while True:
        one = f"request-{number}"
        row = {"hours": 40.0, "age": number, "job": "cook", "member": True}
        log.append(Answered(model_id, version_id, "champion", utc_now(), 1.0, [row], [one], ["yes"], [[0.25, 0.75]]))
        sys.stdout.write(one + "\n")
        sys.stdout.flush()
        number += 1
        if number % seal_every == 0:
            log.seal()


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
