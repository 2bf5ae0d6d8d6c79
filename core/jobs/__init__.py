"""Background work: job rows, claim, lease, fence.

A *job* row commits together with the row it is about, so neither exists without the other. A worker claims it in a
short transaction and holds a *lease*; the *fence* counts claims, and a write by an owner whose fence is old is refused.
A job whose owner died goes back to the queue until its attempts are used up, then fails with the reason.

Chosen: our own rows, polled. Rejected: queues that forget a message when it is taken (Huey) or that bring a second
store (Redis): the subject and its job could then disagree.
"""
