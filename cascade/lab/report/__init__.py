"""The HTML report of a replay: one file, no script, nothing fetched; made for people who pay."""
