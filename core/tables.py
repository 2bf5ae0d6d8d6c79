"""Every table, imported once, so that metadata is whole wherever it is needed (migrations, tests)."""

from sqlmodel import SQLModel

from core.access import tables as access
from core.audit import tables as audit
from core.collaboration import tables as collaboration
from core.datasets import tables as datasets
from core.evaluation import tables as evaluation
from core.governance import tables as governance
from core.health import tables as health
from core.incidents import tables as incidents
from core.jobs import tables as jobs
from core.monitoring import tables as monitoring
from core.registry import tables as registry
from core.serving import tables as serving
from core.training import tables as training

DOMAINS = (
    access,
    audit,
    collaboration,
    datasets,
    evaluation,
    governance,
    health,
    incidents,
    jobs,
    monitoring,
    registry,
    serving,
    training,
)
METADATA = SQLModel.metadata
