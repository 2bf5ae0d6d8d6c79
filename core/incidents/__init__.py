"""From an alert to a decision: triage, remedies with their consequence, incidents.

*Triage* tells pipeline fault, input shift, label shift and concept change apart by stated rules and ranks the features
that tell. An *incident* is the record of cause, action and outcome; the alerts that belong to it name it.
"""
