"""What `gearbox import history` reads: JSON lines, a LiteLLM spend log, or a recording."""
