"""The version of the client, and of the distribution (pyproject.toml reads it here)."""

__version__ = "0.1.0"
