"""The commands of `gearbox` that are not a server."""
