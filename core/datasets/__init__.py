"""Data: what was uploaded, read exactly or refused, kept once, and told truthfully.

A *dataset* is a named line of data; a *dataset version* one immutable state of it, known by the hash of its logical
content (schema and values). The original bytes and the confirmed parse options are kept beside it: "exact" means exact
relative to those options. A *check* is one rule with a severity. A *split* is a seeded assignment of rows to parts. An
*evaluation set* is a locked set of rows that models are judged on: the test part of a dataset's first split ("fixed"),
and for each later version the held-out part of its new rows ("latest"). Rows of an evaluation set found in a later
version are counted, said and kept out of training; across versions a row is known by the hash of its values.
"""
