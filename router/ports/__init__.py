"""The ports: every kind of input and output Gearbox needs, one tiny protocol each.

The law of this room: protocols over the words of `domain`, nothing else. Each port has a shipped in-memory twin, so
that tests and single-process use need no server. Ports are imported from here, not from its files.
"""

from router.ports.history import Feed, Feedback, History, Neighbours, Observer, StoredQuestion, StoredTurn
from router.ports.models import ChatCall, ChatModel, ChunkSink, Embedder, Listener, Reply
from router.ports.money import Bank, Budgets, Directory, Hold, Ledger, Settlement
from router.ports.sharing import Cache, Claim, ClaimState, Joins, Limiter, Permit

__all__ = [
    "Bank",
    "Budgets",
    "Cache",
    "ChatCall",
    "ChatModel",
    "ChunkSink",
    "Claim",
    "ClaimState",
    "Directory",
    "Embedder",
    "Feed",
    "Feedback",
    "History",
    "Hold",
    "Joins",
    "Ledger",
    "Limiter",
    "Listener",
    "Neighbours",
    "Observer",
    "Permit",
    "Reply",
    "Settlement",
    "StoredQuestion",
    "StoredTurn",
]
