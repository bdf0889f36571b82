"""The HTTP API: takes images, answers with jobs, shows how they stand."""
