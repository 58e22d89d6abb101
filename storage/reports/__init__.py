"""Sums and lists over what is stored."""
