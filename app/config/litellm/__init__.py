"""A LiteLLM `config.yaml` in Gearbox's words: read unchanged, or printed as the equivalent `gearbox.yaml`."""
