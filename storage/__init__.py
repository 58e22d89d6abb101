"""Where outcomes live: SQL, journal, ledger, cache, and their in-memory twins."""
