"""The audit trail: who did what to which job, when; append-only and hash-chained, without patient data.

An event is first appended to a list in the ledger, durably, by whoever lets it happen (`event.py`). The reaper seals
the list in numbered segments in the blob store (`sealer.py`), each an object that is written once and never again
(`trail.py`). Every line carries the SHA-256 of the line before it, across segments (`chain.py`).
"""
