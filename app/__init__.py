"""The edge: HTTP, configuration, command line, metrics, and the one composition root."""
