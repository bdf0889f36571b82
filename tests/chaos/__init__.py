"""Breaks a real cluster on purpose and checks that every accepted job ends exactly once.

`python -m tests.chaos run` (or `make chaos`) drives jobs through the gateway as a good client would while a seeded
schedule kills, stops, starves and cuts off processes and servers; an auditor then accounts for every job, blob
and key. `python -m tests.chaos soak` (`make soak`) breaks nothing and watches what grows. docs/chaos.md says more.
"""
