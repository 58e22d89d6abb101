"""The lab at the command line: replay, tune, what-if, export, import. It reads and prints; `cascade.lab` thinks."""
