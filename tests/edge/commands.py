"""The command line against a test server's own database."""

from __future__ import annotations

import yaml
from edge_server import config
from typer.testing import CliRunner

from app.cli import app


def gearbox_command(gearbox, *arguments):
    """What `gearbox ...` printed; it must succeed."""
    file = gearbox.database.parent / "gearbox.yaml"
    file.write_text(yaml.safe_dump({**config(), "store": {"url": f"sqlite+aiosqlite:///{gearbox.database}"}}))
    done = CliRunner().invoke(app, [*arguments, "--config", str(file)])
    assert done.exit_code == 0, f"{done.output}{done.exception!r}"
    return done.stdout
