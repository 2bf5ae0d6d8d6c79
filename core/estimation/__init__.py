"""How well a model does where labels are late or missing. PURE.

What the scores (`estimating`) or the losses learnt from labelled rows (`loss_estimating`) say of rows without labels;
how many labels are still to come (`maturity`); whether a score still means what it meant (`concept`); and what speaks
against believing an estimate (`support`, `believing`).
"""
