"""The house rules of ARCHITECTURE.md, held true by reading every file's syntax tree. The packages are not imported."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("router", "cascade", "storage", "app")
EFFECTS = frozenset({"asyncio", "time", "random", "os", "httpx", "socket", "threading", "subprocess"})
PURE = {
    "router": "accuracy difficulty pricing labels questions answers errors beta skills margins_state",
    "router/domain": "words ladder requests evidence attempts runs outcomes",
    "router/ports": "models history money sharing",
    "cascade/policies": "policy auto auto_belief auto_plan auto_prices auto_reading auto_settings auto_words llm_at "
    "always baselines registry two_tier two_tier_bar two_tier_settings budget_quantile skills skill_words",
    "cascade": "prompts verifiers quotes purse baseline failures eligible margins modes nearby stickiness salvage",
    "cascade/upstreams": "assemble params litellm_params litellm_shapes litellm_errors litellm_losses secrets logprobs",
    "cascade/checks": "match said json_schema",
    "app/edge": "headers bodies events reports errors aliases models_list routes_dry completions responses_request "
    "responses_reply responses_events embeddings",
    "app/config": "vendor_keys",
    "app/config/litellm": "entries lookup shapes patience translation printed",
    "app/money": "words span focus",
}
PURE_FILES = tuple(f"{folder}/{name}.py" for folder, names in PURE.items() for name in names.split())
#: What `gearbox --help` must not wait for.
HEAVY = frozenset({"torch", "faiss", "litellm", "sqlalchemy", "fastapi", "sentence_transformers", "numpy", "httpx"})


@dataclass(frozen=True)
class Rule:
    """In files that match `where` (and not `but`), none of the top-level modules `barred` is imported."""

    name: str
    where: tuple[str, ...]
    barred: frozenset[str]
    but: tuple[str, ...] = ()

    def covers(self, file):
        return any(fnmatch(file, place) for place in self.where) and not any(fnmatch(file, home) for home in self.but)


def everywhere_but(*homes, barred):
    words = " and ".join(homes)
    return Rule(f"{', '.join(sorted(barred))} only in {words}", tuple(f"{p}/*" for p in PACKAGES), barred, homes)


RULES = (
    Rule("router imports no sibling", ("router/*",), frozenset({"cascade", "storage", "app"})),
    Rule("cascade imports router alone", ("cascade/*",), frozenset({"storage", "app"})),
    Rule("storage imports router alone", ("storage/*",), frozenset({"cascade", "app"})),
    Rule("pure files touch nothing", PURE_FILES, EFFECTS),
    everywhere_but(
        "app/*", barred=frozenset({"fastapi", "starlette", "uvicorn", "typer", "rich", "prometheus_client"})
    ),
    everywhere_but("storage/*", barred=frozenset({"sqlalchemy", "alembic", "redis", "aiosqlite", "asyncpg"})),
    everywhere_but("cascade/upstreams/litellm_adapter.py", barred=frozenset({"litellm"})),
    everywhere_but("router/index.py", barred=frozenset({"faiss"})),
    everywhere_but("app/observe/tracing.py", barred=frozenset({"opentelemetry"})),
    everywhere_but("router/embedding.py", barred=frozenset({"torch", "sentence_transformers", "transformers"})),
    # litellm is told through the environment alone not to ask the net at import; a file is synced by os alone; the
    # command verifier needs killpg: it reads no environment and hands none on.
    everywhere_but(
        "app/config/environment.py",
        "router/embedding.py",
        "cascade/upstreams/litellm_adapter.py",
        "storage/journal/segment.py",
        "cascade/checks/command.py",
        barred=frozenset({"os"}),
    ),
)
by_name = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def imports(source):
    """(line, top-level module) of every import, inside functions and TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, (node.module or "a relative import").partition(".")[0]


def breaches(rule, root=ROOT):
    files = {str(path.relative_to(root)): path for package in PACKAGES for path in (root / package).rglob("*.py")}
    return [
        f"{file}:{line} imports {module}"
        for file, path in sorted(files.items())
        if rule.covers(file)
        for line, module in imports(path.read_text())
        if module in rule.barred
    ]


def hidden_faults(file, source):
    """`except Exception` that neither raises nor says beside `noqa: BLE001` why it does not."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = (
            {"BaseException"} if node.type is None else {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)}
        )
        raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
        if caught & {"Exception", "BaseException"} and not raises and "noqa: BLE001 - " not in lines[node.lineno - 1]:
            yield f"{file}:{node.lineno}"


def postponed(file, source):
    words = ("TO" + "DO", "FIX" + "ME", "X" * 3)
    return [f"{file}:{n}" for n, line in enumerate(source.splitlines(), 1) if any(word in line for word in words)]


def sources():
    return {
        str(path.relative_to(ROOT)): path.read_text() for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    }


@by_name
def test_the_rule_holds(rule):
    assert breaches(rule) == []


@by_name
def test_the_rule_notices_a_breach(rule, tmp_path):
    place = next(place for place in rule.where if not any(fnmatch(place, home) for home in rule.but))
    planted = tmp_path / place.replace("*", "planted.py")
    planted.parent.mkdir()
    planted.write_text(f"def late():\n    from {min(rule.barred)}.inner import thing\n")
    assert breaches(rule, tmp_path) == [f"{planted.relative_to(tmp_path)}:2 imports {min(rule.barred)}"]


@pytest.mark.parametrize("file", PURE_FILES)
def test_a_pure_file_is_where_the_table_says(file):
    assert (ROOT / file).is_file()


@pytest.mark.parametrize("find", [hidden_faults, postponed])
def test_no_fault_is_hidden_and_no_work_postponed(find):
    assert [found for file, source in sources().items() for found in find(file, source)] == []


@pytest.mark.parametrize(
    ("find", "source"),
    [
        (hidden_faults, "try:\n    pass\nexcept Exception:\n    pass"),
        (hidden_faults, "try:\n    pass\nexcept (ValueError, Exception):  # noqa: BLE001\n    pass"),
        (hidden_faults, "try:\n    pass\nexcept:\n    pass"),
        (postponed, "x = 1  # TO" + "DO: later"),
    ],
)
def test_a_hidden_fault_or_postponed_work_is_noticed(find, source):
    assert list(find("planted.py", source))


HELP = """
import sys, app.cli
sys.argv = ["gearbox", "--help"]
try:
    app.cli.main()
finally:
    print(" ".join({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""
IMPORT_ALL = """
import json, os, sys, threading, importlib
before, written = dict(os.environ), []
def watch(event, arguments):
    if event in {"socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.mkdir", "os.remove"}:
        written.append(event)
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        written.append(str(arguments[0]))
sys.addaudithook(watch)
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
loaded = sorted({"torch", "sentence_transformers", "litellm"} & set(sys.modules))
changed = sorted(name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name))
print(json.dumps([written, loaded, changed, threading.active_count()]))
"""


def python(*arguments, cwd=ROOT):
    command = [sys.executable, "-B", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)


def test_help_imports_nothing_heavy():
    done = python("-c", HELP)
    assert "Usage: gearbox" in done.stdout
    assert HEAVY & set(done.stderr.split()) == set()


def test_importing_every_module_has_no_effect(tmp_path):
    modules = [file.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for file in sources()]
    # Alembic runs its own two kinds of file; `__main__` is there to be run.
    wanted = [name for name in modules if "migrations" not in name and not name.endswith("__main__")]
    done = python("-c", IMPORT_ALL, json.dumps(wanted), cwd=tmp_path)
    assert json.loads(done.stdout) == [[], [], [], 1]
    assert list(tmp_path.iterdir()) == []
