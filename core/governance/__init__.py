"""Who allowed what, on what evidence.

A *promotion request* asks to move an alias to a version. A *gate* is one automatic rule; the *promotion policy* says
which gates block and which warn. A *decision* is one person's approve, request changes or reject. An approval is bound
to a digest of what it was given on (artifact, evaluations, checks, card, policy, quarantine): when one changes it is
stale and says why. The last approval rechecks, decides and swaps the alias in one transaction. Missing evidence is
never a pass. Nobody decides on work they took part in.
"""
