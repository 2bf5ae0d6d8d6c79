"""People and how they prove who they are: users, roles, sessions, API tokens, the first administrator.

Passwords are Argon2id hashes; sessions and tokens are random strings of which only the hash is stored. An `Actor` is
resolved anew for every rerun, request and job start, so a role taken away takes effect at once.
"""
