"""Imported once by the fork server, so that a job's process starts with these loaded (24 ms against 2.3 s)."""
# ruff: noqa: F401 - importing is all it does

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet
import scipy.stats
import sklearn.ensemble
import sklearn.linear_model
import sklearn.pipeline
import sklearn.preprocessing
import skops.io

import core.automation.child
import core.tables
