"""`gearbox replay` over the repository's own recording, as the issue describes it."""

import gzip
import json
import shutil

import pytest
from lab_support import SIMULATED

KEYS = "policy settings accuracy accuracy_ci cost_usd generate_usd judge_usd latency_s starts served judge"


def test_the_default_line_up_in_the_promised_shape(told):
    result = told("replay", SIMULATED, "--json")
    assert (result["recording"], result["ladder"], result["queries"]) == ("simulated", "default", 600)
    assert [row["policy"] for row in result["rows"]][:6] == [
        "always:small",
        "always:medium",
        "always:large",
        "bottom-up",
        "agreement",
        "auto",
    ]
    assert result["rows"][-1]["policy"] == "oracle"
    for row in result["rows"]:
        assert set(row) == set(KEYS.split())
        assert row["cost_usd"] == pytest.approx(row["generate_usd"] + row["judge_usd"], abs=1e-9)
        assert row["accuracy_ci"][0] <= row["accuracy"] <= row["accuracy_ci"][1]
        assert row["latency_s"] is None


def test_a_replay_is_deterministic(gearbox):
    assert gearbox("replay", SIMULATED, "--json")[1] == gearbox("replay", SIMULATED, "--json")[1]


def test_stdout_holds_only_the_json_even_beside_a_report(gearbox, tmp_path):
    code, out, err = gearbox("replay", SIMULATED, "--policy", "oracle", "--json", "--out", tmp_path / "r.html")
    assert code == 0
    assert json.loads(out)["rows"][0]["policy"] == "oracle"
    assert "r.html" in err


def test_several_ladders_and_recordings_are_a_list(told):
    found = told(
        "replay", SIMULATED, "--ladder", "default", "--ladder", "ends", "--pool", "--policy", "oracle", "--json"
    )
    assert [each["ladder"] for each in found] == ["default", "ends", "pool"]
    twice = told("replay", SIMULATED, SIMULATED, "--policy", "oracle", "--json")
    assert len(twice) == 2


def test_settings_are_taken_and_told(told):
    found = told(
        "replay", SIMULATED, "--policy", "llm-at", "--set", "llm-at.threshold=0.9", "--set", "llm-at.k=3", "--json"
    )
    (row,) = found["rows"]
    assert (row["settings"]["threshold"], row["settings"]["k"]) == (0.9, 3)
    assert row["starts"]["large"] > 500


def test_a_policy_that_is_named_twice_is_run_once(told):
    rows = told("replay", SIMULATED, "--policy", "auto", "--policy", "llm-at", "--policy", "auto", "--json")["rows"]
    assert [row["policy"] for row in rows] == ["auto", "llm-at"]


def test_what_a_right_answer_is_worth_decides_what_is_spent(told):
    spent = []
    for worth in (0.5, 4, 30):
        (row,) = told("replay", SIMULATED, "--policy", "auto", "--set", f"auto.worth={worth}", "--json")["rows"]
        spent.append((row["cost_usd"], row["accuracy"]))
    assert spent == sorted(spent)
    assert spent[0][1] < spent[2][1]


def test_split_shuffle_and_limit(told):
    assert told("replay", SIMULATED, "--split", "train", "--policy", "oracle", "--json")["queries"] < 600
    cut = told("replay", SIMULATED, "--shuffle", 1, "--limit", 50, "--policy", "oracle", "--json")
    other = told("replay", SIMULATED, "--shuffle", 2, "--limit", 50, "--policy", "oracle", "--json")
    assert cut["queries"] == 50
    assert cut["rows"] != other["rows"]


def test_a_table_for_people(gearbox):
    code, out, _ = gearbox("replay", SIMULATED, "--policy", "always:large", "--policy", "random:0.5")
    assert code == 0
    assert "always:large" in out
    assert "random:0.5" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--policy", "nonsense"], "unknown policy 'nonsense'"),
        (["--policy", "random:2"], "from 0 to 1"),
        (["--policy", "always:huge"], "it has: small, medium, large"),
        (["--ladder", "nope"], "no ladder 'nope'"),
        (["--split", "nope"], "no queries in a split 'nope'"),
        (["--limit", "0"], "at least 1"),
        (["--set", "llm-at"], "policy.key=value"),
        (["--set", "llm-at.treshold=1"], "did you mean 'threshold'"),
        (["--set", "llm-at.threshold=2"], "from 0 to 1"),
        (["--policy", "oracle", "--set", "llm-at.k=1"], "not run here"),
        (["--policy", "agreement", "--set", "agreement.k=1"], "has no settings"),
        (["--out", "/nowhere/at/all.html"], "no folder"),
    ],
)
def test_a_wish_that_cannot_be_granted_is_one_line_and_exit_code_2(gearbox, arguments, words):
    code, out, err = gearbox("replay", SIMULATED, "--json", *arguments)
    assert (code, out) == (2, "")
    assert words in err.replace("\n", " ")
    assert "Traceback" not in err


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def _edit(path, line, old, new):
    lines = gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)
    assert old in lines[line]
    lines[line] = lines[line].replace(old, new)
    path.write_bytes(gzip.compress("".join(lines).encode()))


def _rename(folder):
    path = folder / "recording.yaml"
    path.write_text(path.read_text().replace("  - medium", "  - mediocre"))


BROKEN = [
    ("no folder", shutil.rmtree, "no such folder"),
    ("no header", lambda folder: (folder / "recording.yaml").unlink(), "recording.yaml, line 1"),
    ("no answers", lambda folder: (folder / "answers" / "large.jsonl.gz").unlink(), "large.jsonl.gz, line 1"),
    ("truncated", lambda folder: _cut(folder / "answers" / "large.jsonl.gz"), "large.jsonl.gz, line"),
    ("empty", lambda folder: (folder / "queries.jsonl.gz").write_bytes(b""), "queries.jsonl.gz, line 1"),
    ("duplicate id", lambda folder: _edit(folder / "queries.jsonl.gz", 1, "sim:001", "sim:000"), "line 2"),
    (
        "NaN",
        lambda folder: _edit(folder / "answers" / "small.jsonl.gz", 4, '"confidence":0', '"confidence":NaN'),
        "line 5",
    ),
    ("unknown model", _rename, "unknown model"),
]


@pytest.mark.parametrize(("spoil", "words"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_broken_folder_names_file_and_line(gearbox, tmp_path, spoil, words):
    folder = tmp_path / "broken"
    shutil.copytree(SIMULATED, folder)
    spoil(folder)
    code, out, err = gearbox("replay", folder, "--ladder", "ends", "--json")
    assert (code, out) == (2, "")
    assert words in err.replace("\n", " ")
    assert str(folder) in err.replace("\n", "")
    assert "Traceback" not in err


def test_what_cannot_be_shown_is_left_out_and_said(gearbox, tmp_path):
    """A recording without texts says nothing about policies that compare texts or answers."""
    folder = tmp_path / "textless"
    shutil.copytree(SIMULATED, folder)
    _every(folder / "queries.jsonl.gz", lambda query: query | {"messages": [{"role": "user", "content": query["id"]}]})
    for model in ("small", "medium", "large"):
        _every(folder / "answers" / f"{model}.jsonl.gz", lambda answer: answer | {"answer": "", "content": ""})
    code, out, err = gearbox("replay", folder, "--json")
    assert code == 0
    names = [row["policy"] for row in json.loads(out)["rows"]]
    assert not {"llm-at", "agreement"} & set(names)
    assert "llm-at was left out: the recording holds no questions" in err


def _every(path, change):
    entries = [change(json.loads(line)) for line in gzip.decompress(path.read_bytes()).splitlines()]
    path.write_bytes(gzip.compress(b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)))


def test_help_names_the_commands(gearbox):
    code, out, _ = gearbox("--help")
    assert code == 0
    assert all(name in out for name in ("replay", "tune", "whatif", "export", "import"))
