"""Policies: pure rules that decide the next step of a run, one a file."""
