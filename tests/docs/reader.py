"""A reader who does what a page says, block by block, in a folder like the clone, with a server of the page's own.

The server runs in this process and `gearbox` commands do too, which saves their start; whatever needs a shell gets one.
The address that pages write, port 8000 on this machine, is where that server listens.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

from edge_server import serving
from pages import ROOT, Block
from told import ids, same

from app import cli
from app.config import plan as plans
from app.config.environment import Environment, Variables
from app.config.file import load
from app.config.rules import Policies
from cascade.policies import registry
from router.catalog import Catalog

_ADDRESS = "127.0.0.1:8000"
#: What the variables of pages hold, where it has to be an address.
_ADDRESSES = {
    "GEARBOX_STORE_URL": "postgresql+asyncpg://gearbox:secret@postgres/gearbox",
    "GEARBOX_REDIS_URL": "redis://redis:6379/0",
}
_SHELL = re.compile(r"[|<>$;&`*]")
#: What a fragment of a configuration is completed with.
TIERS = """\
tiers:
  - {name: small, deployments: [{model: simulated/small}], price: {input_usd_per_mtok: 0.05, output_usd_per_mtok: 0.4}}
  - {name: medium, deployments: [{model: simulated/medium}], price: {input_usd_per_mtok: 0.5, output_usd_per_mtok: 2}}
  - {name: large, deployments: [{model: simulated/large}], price: {input_usd_per_mtok: 5, output_usd_per_mtok: 20}}
"""


def configuration(block: Block, folder: Path):
    """A block of YAML as Gearbox reads it; a fragment has the usual tiers before it."""
    file = folder / "gearbox.yaml"
    whole = re.search(r"^(tiers|model_list):", block.text, re.MULTILINE) is not None
    file.write_text(block.text if whole else TIERS + block.text)
    variables = Variables(secrets(block))
    policies = Policies(registry.names(), registry.validate, registry.find_baseline)
    return load(file, variables, Catalog.load(), policies, datetime.now(UTC).date())


def secrets(block: Block) -> dict[str, str]:
    """A value for each variable that a configuration reads."""
    return {name: _ADDRESSES.get(name, f"the-value-of-{name}") for name in re.findall(r"os\.environ/(\w+)", block.text)}


def commands(text: str) -> list[str]:
    """The commands of a block: a line, and what a backslash or an open quote continues it with."""
    found, open_ = [], ""
    for line in text.rstrip("\n").split("\n"):
        open_ = f"{open_}\n{line}" if open_ else line
        if not open_.strip() or open_.lstrip().startswith("#"):
            open_ = ""
        elif not open_.endswith("\\") and _closed(open_):
            found.append(open_)
            open_ = ""
    return [*found, open_] if open_ else found


def shown(text: str) -> list[tuple[str, str]]:
    """(command, what it is shown to print) of a console block."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
    told = []
    for part in parts:
        lines = part.split("\n")
        length = next(n for n in range(1, len(lines) + 1) if _whole("\n".join(lines[:n])))
        told.append(("\n".join(lines[:length]), "\n".join(lines[length:])))
    return told


def _whole(text: str) -> bool:
    return not text.endswith("\\") and _closed(text)


def _closed(text: str) -> bool:
    try:
        shlex.split(text)
    except ValueError:
        return False
    return True


class Reader:
    """Follows one page; ids that the page shows are the ones that came here."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._ids: dict[str, str] = {}
        self._names: dict[str, object] = {"__name__": "__main__"}
        self._url: str | None = None
        self._printed = ""
        for name in (".venv", "scripts", "recordings", "examples", "deploy", "docs"):
            (folder / name).symlink_to(ROOT / name)

    def follow(self, block: Block) -> None:
        """Do what the block says; AssertionError where that fails, or something else comes of it than is shown."""
        match block.kind:
            case "bash":
                for command in commands(block.text):
                    self._printed = self._run(command)
            case "console":
                for command, wanted in shown(block.text):
                    self._compare(wanted, self._run(command))
            case "python":
                self._printed = self._python(block)
            case "text":
                self._compare(block.text, self._printed)
            case "sql":
                self._printed = self._sql(block.text)
            case "yaml":
                self._yaml(block)
            case kind:
                raise AssertionError(f"nobody runs a block of kind {kind!r}: mark it as not run, with a reason")

    def _compare(self, wanted: str, came: str) -> None:
        assert same(wanted, came), f"shown:\n{wanted}\ncame:\n{came}"
        self._ids |= ids(wanted, came)

    def _here(self, text: str) -> str:
        """The page's text with the addresses and ids of this server."""
        for old, new in self._ids.items():
            text = text.replace(old, new)
        return text.replace(_ADDRESS, self._serve()) if _ADDRESS in text else text

    def _serve(self) -> str:
        """This page's server, started when it is first needed."""
        if self._url is None:
            plan = plans.read(None, Environment(look_around=False), Variables(os.environ))
            running = self._stack.enter_context(serving(plan, self._folder / "gearbox.db"))
            self._url = running.url.removeprefix("http://")
        return self._url

    def _run(self, command: str) -> str:
        command = self._here(command)
        words = [] if _SHELL.search(command) else shlex.split(command)
        if words and Path(words[0]).name == "gearbox":
            return self._gearbox(words[1:])
        path = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self._folder,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _gearbox(self, arguments: list[str]) -> str:
        out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
        code: object = 0
        with ExitStack() as stack:
            stack.enter_context(redirect_stdout(out))
            stack.enter_context(redirect_stderr(err))
            stack.enter_context(mock.patch.object(sys, "argv", ["gearbox", *arguments]))
            # What it sets for its process would outlast it here, and other tests look at the log.
            stack.enter_context(mock.patch("structlog.configure"))
            try:
                cli.main()
            except SystemExit as end:
                code = end.code
        printed = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
        assert code in {0, None}, f"gearbox {shlex.join(arguments)}\n{printed}{err.getvalue()}"
        return printed

    def _python(self, block: Block) -> str:
        code = compile(self._here(block.text), str(block), "exec")
        with redirect_stdout(io.StringIO()) as out:
            exec(code, self._names)
        return out.getvalue()

    def _sql(self, text: str) -> str:
        self._serve()
        with closing(sqlite3.connect(self._folder / "gearbox.db")) as connection:
            rows = connection.execute(self._here(text)).fetchall()
        assert rows, f"nothing came of\n{text}"
        return "\n".join(" | ".join(str(value) for value in row) for row in rows)

    def _yaml(self, block: Block) -> None:
        """Load it; kept as the page's gearbox.yaml where the page says that it is served."""
        aside = self._folder / "aside"
        aside.mkdir(exist_ok=True)
        loaded = configuration(block, self._folder if block.served else aside)
        if block.served:
            assert self._url is None, "the page's server runs already: the block has to stand before"
            self._stack.enter_context(mock.patch.dict(os.environ, secrets(block)))
        if "model_list" not in block.text:  # LiteLLM's own file gets notes about what it does not say
            assert loaded.notes == ()
            assert [tier.name for tier in loaded.config.tiers] == ["small", "medium", "large"]
