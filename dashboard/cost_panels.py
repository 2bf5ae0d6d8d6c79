"""What a mistake on a dataset's question costs: as it is kept, and setting it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.datasets import costs as matrices
from core.datasets import queries, service
from core.datasets.tables import Dataset
from core.permissions import Permission
from dashboard import panels, reads, session, theme


def show(dataset: Dataset) -> None:
    """The costs in words, and the way to set them; nothing where the target's labels are not known."""
    assert dataset.id is not None
    labels = reads.audited(queries.target_labels, dataset.id)
    if dataset.costs is None and (labels is None or not 2 <= len(labels) <= matrices.MOST_LABELS):
        return
    panels.section(
        "What a mistake costs" if dataset.costs else "No mistake has a cost yet",
        f"{matrices.in_words(dataset.costs)}. Runs are weighed by it from now on, and thresholds can be chosen by it."
        if dataset.costs
        else "With costs a run shows what its mistakes come to, and a threshold can be chosen by them.",
    )
    if session.may(Permission.DATASET_ADD) and labels is not None:
        with st.container(horizontal=True, gap="small"):
            if st.button("Set the costs", icon=":material/balance:", key="dataset_costs"):
                edit(dataset, labels)
            if dataset.costs:
                st.button("Take them back", key="dataset_costs_none", on_click=_take_back, args=(dataset.id,))


@st.dialog("What a mistake costs")
def edit(dataset: Dataset, labels: Sequence[str]) -> None:
    """Two numbers for a question with two answers, else the whole matrix."""
    assert dataset.id is not None
    kept = dataset.costs if dataset.costs and set(dataset.costs["labels"]) == set(labels) else None
    panels.quiet("In any one unit: euros, minutes, or one mistake against the other.")
    given = _two(labels, kept) if len(labels) == 2 else _many(labels, kept)
    if st.button("Save", type="primary", key="dataset_costs_save"):
        with session.act("Costs saved") as act:
            service.set_costs(act, dataset_id=dataset.id, costs=given, actor=session.actor(), now=session.now())
        st.rerun()


def _two(labels: Sequence[str], kept: Mapping[str, Any] | None) -> dict[str, Any]:
    negative, positive = labels
    matrix = kept["matrix"] if kept else [[0.0, 1.0], [1.0, 0.0]]

    def cost(true: int, predicted: int, words: str, **more: Any) -> float:
        return float(
            st.number_input(
                words, value=float(matrix[true][predicted]), step=1.0, format="%g",
                key=f"dataset_cost_{true}_{predicted}", **more,
            )
        )  # fmt: skip

    said = (f"{negative} taken for {positive} costs", f"{positive} taken for {negative} costs")
    false_alarm = cost(0, 1, theme.plain(said[0]), help="A false alarm")
    miss = cost(1, 0, theme.plain(said[1]), help="A miss")
    with st.expander("What being right costs"):
        panels.quiet("Usually nothing; a gain is a negative cost.")
        rest = cost(0, 0, theme.plain(f"{negative} called {negative}"))
        hit = cost(1, 1, theme.plain(f"{positive} called {positive}"))
    return {"labels": list(labels), "matrix": [[rest, false_alarm], [miss, hit]]}


def _many(labels: Sequence[str], kept: Mapping[str, Any] | None) -> dict[str, Any]:
    import pandas as pd

    panels.quiet("Rows are the true labels, columns what they are taken for.")
    start = kept["matrix"] if kept else [[float(a != b) for b in labels] for a in labels]
    frame = pd.DataFrame(start, index=list(labels), columns=list(labels))
    edited = st.data_editor(frame, key="dataset_cost_matrix")
    return {"labels": list(labels), "matrix": edited.to_numpy(dtype=float).tolist()}


def _take_back(dataset_id: int) -> None:
    with session.act("The costs are taken back", in_callback=True) as act:
        service.set_costs(act, dataset_id=dataset_id, costs=None, actor=session.actor(), now=session.now())
