"""Recordings: what several models really answered to the same stream of queries, read strictly and never changed."""

from cascade.recordings.reader import load
from cascade.recordings.records import (
    Query,
    RecordedAnswer,
    RecordedModel,
    RecordedVerdict,
    Recording,
    SimulatedJudge,
)
from cascade.recordings.verdicts import verdict

__all__ = [
    "Query",
    "RecordedAnswer",
    "RecordedModel",
    "RecordedVerdict",
    "Recording",
    "SimulatedJudge",
    "load",
    "verdict",
]
