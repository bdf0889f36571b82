"""The compose stack, built and run for real: `make e2e`. Nothing is mocked but Google."""
