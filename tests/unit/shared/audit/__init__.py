"""Tests of the audit trail that need no server."""
