"""The command line over the client. Nothing here is imported by programs that use the client alone."""
