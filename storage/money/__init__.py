"""Keys, budgets and the ledger: what may be spent, by whom, and by which worker."""
