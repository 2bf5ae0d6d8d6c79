"""Imported once by the fork server, so that a job's process starts with these loaded (24 ms against 2.3 s).

The jobs' own modules are among them, and what the libraries would import only on first use: without these a job that
computes for a tenth of a second takes one second. Nothing is fitted here: a thread pool that a fit leaves behind does
not outlive a fork.
"""
# ruff: noqa: F401 - importing is all it does

from importlib import import_module

import duckdb
import narwhals.stable.v2
import numpy as np
import pandas as pd
import pyarrow.dataset
import pyarrow.parquet
import scipy.stats
import sklearn.ensemble
import sklearn.linear_model
import sklearn.pipeline
import sklearn.preprocessing
import skops.io
import typer  # of the worker's main module, which each child imports again
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import configure_mappers
from sqlmodel import select
from sqlmodel.main import default_registry

import core.automation.child
import core.tables
from core.jobs.kinds import JOB_KINDS
from core.training.analyses import ANALYSES

for handler in [*(kind.handler for kind in JOB_KINDS.values()), *(kind.handler for kind in ANALYSES.values())]:
    import_module(handler.partition(":")[0])
configure_mappers()
for mapper in default_registry.mappers:  # what a table's first statement works out is kept on the table: 0.5 s for all
    select(mapper.class_).where(mapper.primary_key[0] == 0).compile(dialect=sqlite.dialect())
narwhals.stable.v2.from_native(pd.DataFrame())  # imports what scikit-learn looks at a frame with
