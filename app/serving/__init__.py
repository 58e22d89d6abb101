"""Servers as processes: start, workers, and an orderly end."""
