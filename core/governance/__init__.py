"""Who allowed what, on what evidence.

A *promotion request* asks to move an alias to a version. A *gate* is one automatic rule; the *promotion policy* says
which gates block and which warn. A *decision* is one person's approve, request changes or reject. An approval is bound
to a digest of what it was given on (artifact, evaluations, checks, card, policy, quarantine, champion): when one
changes it is stale and says why. The last approval rechecks, decides and swaps the alias in one transaction. Missing
evidence is never a pass. Nobody decides on work they took part in.

Choices:

- Preparing the evidence again raises the request's revision. Decisions and waivers belong to one revision: an exception
  granted for one shortfall is no exception for the next. Rejected: carrying them over where the digest stayed the same.
- The gates that count are those inside the digested evidence; `GateResult` rows repeat them for lists.
- Inside the deciding transaction the model's file is checked for presence and size, not hashed: its bytes are hashed by
  the smoke test before and by everything that loads it after.
- A rollback may lead to a version whose data was quarantined since. It is warned of and recorded, not refused: in an
  emergency the known state is better than a broken one.
"""
