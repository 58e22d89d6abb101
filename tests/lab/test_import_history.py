"""`gearbox import history`: JSON lines, spend logs and recordings warm the history; twice is once; nothing is spent."""

import asyncio
import gzip
import json
import sqlite3

import pytest
from lab_support import SIMULATED, TIERS, FakeEmbedder

from app.config import plan as plans
from app.config.environment import Environment, Variables
from router.index import FaissNeighbours
from storage.history.store import SqlHistory


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "gearbox.yaml"
    path.write_text(f"tiers:\n{TIERS}store: {{url: 'sqlite+aiosqlite:///{tmp_path}/gearbox.db'}}\n")
    return path


@pytest.fixture
def sql(tmp_path):
    def ask(query):
        connection = sqlite3.connect(tmp_path / "gearbox.db")
        found = connection.execute(query).fetchall()
        connection.close()
        return found

    return ask


def lines(path, entries):
    path.write_text("\n".join(json.dumps(entry) for entry in entries))
    return path


ENTRIES = [
    {"question": "What is 2 + 2?", "correct": {"small": 1, "simulated/large": True}, "id": "a"},
    {
        "messages": [{"role": "user", "content": "Who was Ada?"}],
        "correct": {"gpt-4o": 0.5},
        "time": "2025-01-31T12:00:00Z",
    },
]


async def test_json_lines_become_neighbours(gearbox, config, sql, tmp_path):
    # The command has an event loop of its own, so here it runs in a thread.
    code, _, err = await asyncio.to_thread(
        gearbox, "import", "history", lines(tmp_path / "h.jsonl", ENTRIES), "--config", config, "--team", "search"
    )
    assert code == 0, err
    assert "2 questions stored, 2 of them with labels" in err.replace("\n", " ")
    assert sql("SELECT team, policy, client FROM inference") == [("search", "import", "import")] * 2
    assert sorted(sql("SELECT tier, model, correct, source FROM label")) == [
        ("gpt-4o", "gpt-4o", 0.5, "feedback"),
        ("large", "simulated/large", 1.0, "feedback"),
        ("small", "simulated/small", 1.0, "feedback"),
    ]
    history = await SqlHistory.open(
        plans.read(config, Environment(), Variables({})).config.store.url.get_secret_value()
    )
    index = FaissNeighbours(64)
    assert await index.load(history.questions("all-MiniLM-L6-v2"), lambda team: team) == 2
    (nearest,) = await index.search(await FakeEmbedder().embed("What is 2 + 2?"), 1, "search")
    assert nearest.labels == {"simulated/small": 1.0, "simulated/large": 1.0}
    await index.aclose()
    await history.aclose()


def test_nothing_is_counted_as_spent(gearbox, config, sql, tmp_path):
    gearbox("import", "history", lines(tmp_path / "h.jsonl", ENTRIES), "--config", config)
    assert sql("SELECT SUM(cost_nanousd), SUM(late_cost_nanousd) FROM inference") == [(0, 0)]
    assert sql("SELECT COUNT(*) FROM attempt") == [(0,)]


def test_importing_twice_changes_nothing(gearbox, config, sql, tmp_path):
    for _ in range(2):
        gearbox("import", "history", lines(tmp_path / "h.jsonl", ENTRIES), "--config", config)
    assert sql("SELECT COUNT(*) FROM inference") == [(2,)]
    assert sql("SELECT COUNT(*) FROM label") == [(3,)]


def test_a_recording_teaches_its_grades(gearbox, config, sql):
    code, _, err = gearbox("import", "history", SIMULATED, "--split", "train", "--config", config)
    assert code == 0, err
    ((questions,),) = sql("SELECT COUNT(*) FROM inference")
    assert 250 < questions < 350
    assert sql("SELECT COUNT(*) FROM label WHERE source = 'audit'") == [(3 * questions,)]
    assert sql("SELECT DISTINCT model FROM label ORDER BY model") == [
        ("simulated/large",),
        ("simulated/medium",),
        ("simulated/small",),
    ]


SPEND = [
    {
        "request_id": "r1",
        "call_type": "acompletion",
        "model": "small",
        "custom_llm_provider": "simulated",
        "spend": 0.001,
        "startTime": "2025-01-31T12:00:00",
        "messages": json.dumps([{"role": "user", "content": "What is 5 + 5?"}]),
    },
    {
        "request_id": "r2",
        "model": "simulated/large",
        "spend": 0.1,
        "messages": {},
        "proxy_server_request": {"messages": [{"role": "user", "content": "Prove it."}]},
    },
    {
        "request_id": "r3",
        "model": "small",
        "spend": 0,
        "status": "failure",
        "messages": [{"role": "user", "content": "x"}],
    },
    {"request_id": "r4", "model": "small", "spend": 0, "messages": {}},
    {"request_id": "r5", "model": "e5", "call_type": "aembedding", "spend": 0, "messages": "text"},
    {
        "request_id": "r6",
        "model": "medium",
        "spend": 0.1,
        "metadata": {"score": 0},
        "messages": [{"role": "user", "content": "What is 7 * 7?"}],
    },
]


def test_a_spend_log_teaches_what_a_judge_would_not_have_to(gearbox, config, sql, tmp_path):
    path = tmp_path / "spend.json"
    path.write_text(json.dumps(SPEND))
    code, _, err = gearbox("import", "history", path, "--config", config)
    assert code == 0, err
    assert sql("SELECT COUNT(*) FROM inference") == [(3,)]
    assert sorted(sql("SELECT model, correct, source FROM label")) == [
        ("simulated/large", 1.0, "assumed"),
        ("simulated/medium", 0.0, "feedback"),
    ]
    told = err.replace("\n", " ")
    assert "3 rows were passed over" in told
    assert "--assume-correct" in told


def test_a_spend_log_whose_answers_are_taken_as_right(gearbox, config, sql, tmp_path):
    path = tmp_path / "spend.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, SPEND)).encode()))
    assert gearbox("import", "history", path, "--assume-correct", "--config", config)[0] == 0
    assert ("simulated/small", 1.0, "assumed") in sql("SELECT model, correct, source FROM label")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: the file is empty"),
        ('{"question": "a", "correct": {"m": 1}}\n{broken', "line 2: this is not JSON"),
        ("[1]", "no JSON object"),
        ('{"correct": {"m": 1}}', "line 1: there is neither"),
        ('{"question": "a"}', "'correct' is missing"),
        ('{"question": "a", "correct": {"m": 2}}', "from 0 to 1"),
        ('{"question": "a", "correct": {"m": 1}, "quesion": 1}', "unknown field 'quesion'"),
        ('{"question": "a", "correct": {"m": 1}, "time": "soon"}', "a time such as"),
    ],
)
def test_a_broken_file_names_the_line(gearbox, config, tmp_path, text, words):
    path = tmp_path / "h.jsonl"
    path.write_text(text)
    code, out, err = gearbox("import", "history", path, "--config", config)
    assert (code, out) == (2, "")
    assert words in err.replace("\n", " ")


def test_no_such_file(gearbox, config, tmp_path):
    code, _, err = gearbox("import", "history", tmp_path / "nowhere", "--config", config)
    assert (code, "no such file" in err) == (2, True)
