"""Where outcomes wait while the database is away."""
