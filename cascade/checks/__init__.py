"""The operator's own verifiers: cheap checks of an answer that run before a judge is paid, and may replace it."""
