"""`gearbox import history`: JSON lines, spend logs and recordings warm the history; twice is once; nothing is spent."""

import asyncio
import csv
import gzip
import importlib.util
import json
import re
import sqlite3
from pathlib import Path

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


#: litellm's columns, in the order of its schema.prisma.
COLUMNS = [
    *("request_id", "call_type", "api_key", "spend", "total_tokens", "prompt_tokens", "completion_tokens"),
    *("startTime", "endTime", "request_duration_ms", "completionStartTime", "model", "model_id", "model_group"),
    *("custom_llm_provider", "api_base", "user", "metadata", "cache_hit", "cache_key", "request_tags", "team_id"),
    *("organization_id", "end_user", "requester_ip_address", "messages", "response", "session_id", "status"),
    *("mcp_namespaced_tool_name", "billing_agent_id", "agent_id", "proxy_server_request", "litellm_call_id"),
    *("created_at", "updated_at"),
]


def spent(request_id, question="What is 5 + 5?", **more):
    """One row as PostgreSQL's COPY writes it."""
    return {
        "request_id": request_id,
        "call_type": "acompletion",
        "spend": "0.001",
        "startTime": "2025-01-31 12:00:00.125",
        "model": "large",
        "custom_llm_provider": "simulated",
        "metadata": "{}",
        "messages": json.dumps([{"role": "user", "content": question}]),
        "status": "success",
        **more,
    }


def csv_file(path, rows, columns=COLUMNS, **how):
    with path.open("w", newline="", encoding=how.pop("encoding", "utf-8")) as file:
        writer = csv.DictWriter(file, columns, **how)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_columns_are_litellms():
    """A change of litellm's table is a change of this test."""
    schema = (Path(litellm_folder()) / "proxy" / "schema.prisma").read_text()
    table = schema.partition("model LiteLLM_SpendLogs {")[2].partition("\n}")[0]
    assert re.findall(r"^  (\w+) +[A-Z]", table, re.MULTILINE) == COLUMNS


def litellm_folder():
    return importlib.util.find_spec("litellm").submodule_search_locations[0]


@pytest.mark.parametrize("how", [{}, {"lineterminator": "\n"}, {"encoding": "utf-8-sig"}, {"quoting": csv.QUOTE_ALL}])
def test_a_spend_log_comes_as_csv(gearbox, config, sql, tmp_path, how):
    rows = [
        spent("r1", 'What is "5",\n5 lines down?'),
        spent("r2", model="small", metadata='{"score": 0.25}'),
        spent("r3", status="failure"),
        spent("r4", call_type="aembedding", messages="some text"),
        spent("r5", messages="{}"),
        spent("r6", "", messages="", proxy_server_request='{"messages": [{"role": "user", "content": "Prove it."}]}'),
    ]
    code, out, err = gearbox("import", "history", csv_file(tmp_path / "log.csv", rows, **how), "--config", config)
    assert (code, out) == (0, ""), err
    assert "3 rows were passed over: 1 failed, 1 were no chat, 1 keep no prompt" in err.replace("\n", " ")
    assert sorted(sql("SELECT question, created_at FROM inference")) == [
        ("Prove it.", "2025-01-31 12:00:00.125000"),
        ('What is "5",\n5 lines down?', "2025-01-31 12:00:00.125000"),
        ("What is 5 + 5?", "2025-01-31 12:00:00.125000"),
    ]
    assert sorted(sql("SELECT model, correct, source FROM label")) == [
        ("simulated/large", 1.0, "assumed"),
        ("simulated/large", 1.0, "assumed"),
        ("simulated/small", 0.25, "feedback"),
    ]


def plain_csv(*lines):
    return "\n".join(("request_id,model,startTime,messages", *lines)).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(plain_csv("r1,large,2025-01-31,x", "r2,large"), "line 3: this row has 2 cells", id="short row"),
        pytest.param(plain_csv("r1,large,2025-01-31,x", ",large,,"), "line 3: 'request_id' is None", id="no id"),
        pytest.param(plain_csv('r1,large,,"two\nlines"', "r2,large,soon,"), "line 4: 'startTime'", id="bad time"),
        pytest.param(plain_csv('r1,large,,"[{""role"""'), "line 2: the column 'messages' holds", id="broken JSON"),
        pytest.param(plain_csv('r1,large,,"open'), "line 2: this is not CSV", id="open quotes"),
        pytest.param(b"request_id,model,model,spend\n1,2,3,4\n", "line 1: the column 'model'", id="a column twice"),
        pytest.param(plain_csv(), "line 1: the file is empty", id="no rows"),
        pytest.param(plain_csv("r1,large,,x") + b"\xe4\n", "line 2: this is not UTF-8", id="Latin-1"),
        pytest.param(b"id;model\n1;2\n", "line 1: this is not JSON", id="another table"),
        pytest.param(gzip.compress(plain_csv("r1,large,,x"))[:-9], "no intact gzip", id="cut gzip"),
        pytest.param(
            b'[{"request_id": "a", "model": "m", "spend": 1},\n {"model": "m"}]', "line 2: 'request_id'", id="JSON"
        ),
    ],
)
def test_a_broken_spend_log_names_the_line_and_nothing_is_half_imported(gearbox, config, tmp_path, data, words):
    path = tmp_path / "log.csv"
    path.write_bytes(data)
    code, out, err = gearbox("import", "history", path, "--config", config)
    assert (code, out) == (2, "")
    assert words in err.replace("\n", " ")
    assert "Traceback" not in err
    assert not (tmp_path / "gearbox.db").exists(), "nothing was written"
