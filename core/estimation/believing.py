"""When an estimate of performance is not to be believed: stated checks, each with a sentence. PURE.

An estimate rests on the reference. It says nothing where the reference has hardly any rows, and nothing true once the
concept has changed; that can only be seen where labels have come. Whatever speaks against an estimate is stored and
shown with it, and no alert is raised by an estimate that anything speaks against.
"""

from __future__ import annotations

from core.estimation.concept import ConceptChange
from core.estimation.support import Outside
from core.wording import brief, enumerated, percent

FEW_REFERENCE = 500
FEW_OF_A_CLASS = 30
UNCALIBRATED = 0.05
OUTSIDE = 0.1
ALMOST_ALL = 0.999
CONTRADICTED = "labels that are in contradict it"
CONTRADICTED_LEVEL = 0.001

Triple = tuple[float, float, float]


def of_reference(n_reference: int, of_rarest: int | None, calibration_error: float | None) -> list[str]:
    """What speaks against every estimate of a version.

    Parameters
    ----------
    n_reference : int
        Labelled rows it was learnt from.
    of_rarest : int or None
        How many of them are of the rarest class; None for a regression.
    calibration_error : float or None
        Of held-out reference rows, after calibration; None for a regression.
    """
    said = []
    if n_reference < FEW_REFERENCE:
        said.append(f"It was learnt from {n_reference:,} labelled rows only; {FEW_REFERENCE} or more make it steady.")
    if of_rarest is not None and of_rarest < FEW_OF_A_CLASS:
        said.append(f"The rarest class has {of_rarest:,} reference rows only, so its chances are a guess.")
    if calibration_error is not None and calibration_error > UNCALIBRATED:
        said.append(
            f"The scores cannot be calibrated: they stay {percent(calibration_error)} off what came true in the "
            "reference."
        )
    return said


def of_scores(n_scored: int, n_rows: int) -> list[str]:
    """What speaks against an estimate of a window some of whose rows have no scores."""
    if n_rows == 0 or n_scored >= ALMOST_ALL * n_rows:
        return []
    return [f"{percent(1 - n_scored / n_rows)} of the rows have no scores and are left out."]


def of_support(found: Outside) -> list[str]:
    """What speaks against an estimate of rows that the reference hardly holds.

    More than a tenth of the rows beyond what the reference itself has of such rows.
    """
    if found.share - found.usual <= OUTSIDE:
        return []
    by = f", by {enumerated(found.names)}" if found.names else ""
    return [
        f"{percent(found.share)} of the rows have values that the reference hardly holds{by}; "
        f"of the reference's own rows {percent(found.usual)} do."
    ]


def of_labels(title: str, realised: Triple, estimated: Triple, n_labelled: int) -> list[str]:
    """What speaks against an estimate that the labels which have come contradict.

    Parameters
    ----------
    title : str
        The metric's.
    realised, estimated : (value, low, high)
        On the same labelled rows; they contradict each other where the intervals are apart.
    """
    if realised[1] <= estimated[2] and estimated[1] <= realised[2]:
        return []
    return [
        f"{n_labelled:,} {CONTRADICTED}: on their rows {title} is {brief(realised[0])} "
        f"({brief(realised[1])} to {brief(realised[2])}), estimated was {brief(estimated[0])} "
        f"({brief(estimated[1])} to {brief(estimated[2])}). What the model's answers mean has changed."
    ]


def of_concept(found: ConceptChange | None) -> list[str]:
    """What speaks against an estimate once scores no longer mean what they meant."""
    if found is None or found.pvalue >= CONTRADICTED_LEVEL:
        return []
    return [f"{found.n_labelled:,} {CONTRADICTED}. {found.sentence}"]


def contradicted(note: str) -> bool:
    """Whether a stored note says that labels contradict the estimate: a sign of a changed concept, no want of data."""
    return CONTRADICTED in note
