"""PURE: an event as a sentence a person reads."""

from __future__ import annotations

# What the stored code alone would say badly; "{label}" is the subject's own name.
SPECIAL: dict[str, str] = {
    "user.signed_in": "signed in",
    "user.signed_out": "signed out",
    "user.switched_on": "switched on the account {label}",
    "user.switched_off": "switched off the account {label}",
    "user.roles_set": "set the roles of {label}",
    "user.password_set": "set the password of {label}",
    "user.added": "added the account {label}",
    "dataset.costs_set": "set what a mistake costs on {label}",
    "dataset_version.added": "added {label}",
    "dataset_version.drift_requested": "asked how the columns of {label} moved",
    "dataset_version.quarantined": "quarantined {label}",
    "dataset_version.quarantine_lifted": "took {label} out of quarantine",
    "evaluation_set.locked": "locked the {label}",
    "split.made": "split {label}",
    "upload.stored": "uploaded {label}",
    "labels.added": "handed in labels for {label}",
    "run.requested": "started {label}",
    "run.finished": "finished {label}",
    "run.failed": "saw {label} fail",
    "run.cancelled": "cancelled {label}",
    "run.scored": "scored {label}",
    "run.cancel_requested": "asked to cancel {label}",
    "run.scoring_requested": "asked to score {label}",
    "run.comparison_requested": "asked to compare {label} with others",
    "run.compared": "compared {label} with others",
    "run.analysis_requested": "asked to analyse {label}",
    "run.analysed": "analysed {label}",
    "behaviour_suite.saved": "wrote a behaviour suite for {label}",
    "registered_model.added": "added the model {label}",
    "model_version.registered": "registered {label}",
    "model_card.edited": "edited the card of {label}",
    "model_version.behaviour_requested": "asked to run the behaviour suite on {label}",
    "model_version.behaviour_tested": "ran the behaviour suite on {label}",
    "promotion_policy.saved": "wrote {label}",
    "promotion_request.made": "asked for {label}",
    "promotion_request.opened": "gathered the evidence for {label}",
    "promotion_request.renewed": "asked for fresh evidence for {label}",
    "promotion_request.preparation_failed": "saw the evidence for {label} fail",
    "promotion_request.approval_given": "gave one approval for {label}",
    "promotion_request.approved": "approved {label}",
    "promotion_request.changes_requested": "asked for changes to {label}",
    "promotion_request.rejected": "rejected {label}",
    "promotion_request.withdrawn": "withdrew the request for {label}",
    "promotion_request.gate_waived": "waived a gate for {label}",
    "alert.opened": "raised an alert for {label}",
    "alert.acknowledged": "took up the alert for {label}",
    "alert.resolved": "closed the alert for {label}",
    "alert.reopened": "raised an alert for {label} again",
    "alert.worsened": "saw the alert for {label} become critical",
    "alert_rule.edited": "changed an alert rule of {label}",
    "incident.opened": "opened the incident {label}",
    "incident.widened": "added alerts to the incident {label}",
    "incident.worsened": "saw the incident {label} become critical",
    "incident.looked_at_again": "looked again at the incident {label}",
    "incident.taken_over": "took over the incident {label}",
    "incident.noted": "wrote a note on the incident {label}",
    "incident.acted_on": "acted on the incident {label}",
    "incident.resolved": "resolved the incident {label}",
    "deployment.started": "deployed {label}",
    "deployment.ended": "ended the deployment of {label}",
    "registered_model.rolled_back": "rolled back {label}",
    "batch.added": "handed in a batch to {label}",
    "batch.measured": "measured a batch of {label}",
    "batch.failed": "saw a batch of {label} fail",
    "batch.cancelled": "cancelled a batch of {label}",
    "batch.withdrawn": "withdrew a batch of {label}",
    "intake.requested": "asked to read {label}",
    "intake.refused": "saw the file for {label} refused",
    "monitor.refreshed": "asked to look at {label} again",
}


def sentence(action: str, subject_label: str) -> str:
    """What was done, without who did it.

    Parameters
    ----------
    action : str
        ``subject.verb-in-the-past``: "model_version.registered".
    subject_label : str
        What a person calls the subject; taken over as it is.

    Returns
    -------
    str
        "registered model version income v3".
    """
    if action in SPECIAL:
        return SPECIAL[action].replace("{label}", subject_label)
    kind, _, verb = action.partition(".")
    return f"{verb.replace('_', ' ')} {kind.replace('_', ' ')} {subject_label}".strip()
