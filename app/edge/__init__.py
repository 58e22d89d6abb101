"""HTTP at the edge: who asks, what for, and what they are told."""
