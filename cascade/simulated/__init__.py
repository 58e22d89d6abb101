"""Tiers without weights or keys: a deterministic OpenAI-compatible server that solves arithmetic and list tasks."""

from cascade.simulated.upstream import SimulatedUpstream

__all__ = ["SimulatedUpstream"]
