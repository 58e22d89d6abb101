"""The words of the domain, and what is known before anyone answers."""

__version__ = "0.1.0"
