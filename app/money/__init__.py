"""Reports of money: savings, cost files, and the spans of time they are asked for."""
