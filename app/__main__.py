"""`python -m app` is `gearbox`."""

from app.cli import main

main()
