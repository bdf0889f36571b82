"""What two services need, and nothing else: contracts, ledger, blob store, queue, names, settings, errors."""
