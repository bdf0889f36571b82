"""The whole cluster on one machine, as separate processes on loopback: for a laptop, the demo and the tests."""
