"""One row per way to break a recording: each is an error that names file, line and what is wrong."""

import gzip
from typing import NamedTuple

import pytest
from recording_builder import Draft, answers_file, edit_lines

from cascade.recordings import load
from cascade.recordings.lines import read_objects
from router.errors import ConfigError

YAML, QUERIES, SMALL = "recording.yaml", "queries.jsonl.gz", "small.jsonl.gz"


class Row(NamedTuple):
    """How to bend the draft or the written folder; where and in which words the error must come."""

    name: str
    file: str
    line: int
    words: str
    bend: object = None
    spoil: object = None


def header(path, value):
    """Set a value in recording.yaml; `...` deletes it."""

    def bend(draft):
        *outer, last = path
        block = draft.header
        for key in outer:
            block = block[key]
        if value is ...:
            del block[last]
        else:
            block[last] = value

    return bend


def query(place, **fields):
    return lambda draft: draft.queries[place].update(fields)


def answer(place, **fields):
    return lambda draft: draft.answers["small"][place].update(fields)


def without(part, place, key):
    def bend(draft):
        (draft.queries if part == "queries" else draft.answers["small"])[place].pop(key)

    return bend


def write(name, data):
    return lambda folder: path_of(folder, name).write_bytes(data)


def text(name, change):
    def spoil(folder):
        path = path_of(folder, name)
        path.write_text(change(path.read_text()))

    return spoil


def lines(name, change):
    return lambda folder: edit_lines(path_of(folder, name), change)


def replace_line(place, data):
    return lambda entries: entries.__setitem__(place, data)


def in_line(place, old, new):
    return lambda entries: entries.__setitem__(place, entries[place].replace(old, new))


def cut(name, keep):
    def spoil(folder):
        path = path_of(folder, name)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * keep)])

    return spoil


def damage(name):
    def spoil(folder):
        path = path_of(folder, name)
        data = bytearray(path.read_bytes())
        data[-6] ^= 0xFF
        path.write_bytes(bytes(data))

    return spoil


def path_of(folder, name):
    return folder / name if (folder / name).exists() else folder / "answers" / name


ROWS = [
    # recording.yaml
    Row("no header", YAML, 1, "no such file", spoil=lambda folder: (folder / YAML).unlink()),
    Row("header is a folder", YAML, 1, "cannot be read", spoil=lambda f: ((f / YAML).unlink(), (f / YAML).mkdir())),
    Row("empty header", YAML, 1, "empty", spoil=write(YAML, b"")),
    Row("header is a list", YAML, 1, "no mapping", spoil=write(YAML, b"- a\n- b\n")),
    Row("bad YAML", YAML, 3, "not YAML", spoil=write(YAML, b"name: x\nabout: [1, 2\n")),
    Row("bad YAML character", YAML, 2, "not YAML", spoil=write(YAML, b"name: x\nabout: \x00\n")),
    Row("impossible YAML date", YAML, 1, "not YAML", spoil=write(YAML, b"name: 2024-99-99\n")),
    Row("header not UTF-8", YAML, 2, "not UTF-8", spoil=write(YAML, b"name: x\nabout: \xff\n")),
    Row("key twice", YAML, 2, "'name' stands here twice", spoil=text(YAML, lambda old: "name: x\n" + old)),
    Row("key is a number", YAML, 1, "no text", spoil=text(YAML, lambda old: "7: x\n" + old)),
    Row("no name", YAML, 1, "'name' is missing", header(["name"], ...)),
    Row("no models", YAML, 1, "'models' is missing", header(["models"], ...)),
    Row("models empty", YAML, 3, "not empty", header(["models"], {})),
    Row("models a list", YAML, 3, "mapping", header(["models"], ["small"])),
    Row("no price", YAML, 4, "'input_usd_per_mtok' is missing", header(["models", "small", "input_usd_per_mtok"], ...)),
    Row("price negative", YAML, 5, "0 or more", header(["models", "small", "input_usd_per_mtok"], -1)),
    Row("price NaN", YAML, 5, "nan", header(["models", "small", "input_usd_per_mtok"], float("nan"))),
    Row("price infinite", YAML, 6, "inf", header(["models", "small", "output_usd_per_mtok"], float("inf"))),
    Row("price huge", YAML, 5, "0 or more", header(["models", "small", "input_usd_per_mtok"], 10**400)),
    Row("price text", YAML, 5, "a number", header(["models", "small", "input_usd_per_mtok"], "cheap")),
    Row("price true", YAML, 5, "a number", header(["models", "small", "input_usd_per_mtok"], value=True)),
    Row("prior above 1", YAML, 7, "from 0 to 1", header(["models", "small", "prior_accuracy"], 57)),
    Row("no ladders", YAML, 1, "'ladders' is missing", header(["ladders"], ...)),
    Row("ladder empty", YAML, 17, "not empty", header(["ladders", "default"], [])),
    Row("ladder text", YAML, 17, "a list", header(["ladders", "default"], "small")),
    Row("ladder unknown model", YAML, 17, "unknown model 'huge'", header(["ladders", "default"], ["small", "huge"])),
    Row("ladder twice a model", YAML, 17, "'small' twice", header(["ladders", "default"], ["small", "small"])),
    Row("ladder of numbers", YAML, 17, "must be text", header(["ladders", "default"], [3])),
    Row("no judge", YAML, 1, "'judge' is missing", header(["judge"], ...)),
    Row("judge kind", YAML, 25, "recorded or simulated", header(["judge", "kind"], "human")),
    Row("judge numbers", YAML, 24, "'accept_right' is missing", header(["judge", "kind"], "simulated")),
    Row("splits text", YAML, 26, "a list", header(["splits"], "dev")),
    Row("partial text", YAML, 29, "true or false", header(["partial"], "yes")),
    # queries
    Row("no queries", QUERIES, 1, "no such file", spoil=lambda folder: (folder / QUERIES).unlink()),
    Row("queries empty", QUERIES, 1, "empty", spoil=write(QUERIES, b"")),
    Row("queries empty inside", QUERIES, 1, "empty", spoil=write(QUERIES, gzip.compress(b""))),
    Row("queries no gzip", QUERIES, 1, "gzip", spoil=write(QUERIES, b'{"id": "q0"}\n')),
    Row("queries cut", QUERIES, 1, "truncated", spoil=cut(QUERIES, 0.4)),
    Row("queries cut late", QUERIES, 7, "truncated", spoil=cut(QUERIES, 0.99)),
    Row("queries damaged", QUERIES, 7, "gzip", spoil=damage(QUERIES)),
    Row("query not JSON", QUERIES, 3, "not JSON", spoil=lines(QUERIES, replace_line(2, b"{'id': 1}"))),
    Row("query not UTF-8", QUERIES, 3, "not UTF-8", spoil=lines(QUERIES, in_line(2, b"What", b"Wh\xfft"))),
    Row("query a list", QUERIES, 3, "JSON array", spoil=lines(QUERIES, replace_line(2, b"[1]"))),
    Row("query line empty", QUERIES, 3, "line is empty", spoil=lines(QUERIES, replace_line(2, b""))),
    Row("query twice", QUERIES, 5, "'q1' stands on line 2", query(4, id="q1")),
    Row("query id missing", QUERIES, 2, "'id' is missing", without("queries", 1, "id")),
    Row("query id a number", QUERIES, 2, "'id' is 7", query(1, id=7)),
    Row("query id empty", QUERIES, 2, "not empty", query(1, id="")),
    Row("query task missing", QUERIES, 2, "'task' is missing", without("queries", 1, "task")),
    Row("query reference missing", QUERIES, 2, "'reference' is missing", without("queries", 1, "reference")),
    Row("query split unknown", QUERIES, 2, "dev, test", query(1, split="train")),
    Row("query messages missing", QUERIES, 2, "'messages' is missing", without("queries", 1, "messages")),
    Row("query messages empty", QUERIES, 2, "not empty", query(1, messages=[])),
    Row("query messages text", QUERIES, 2, "a list", query(1, messages="hi")),
    Row("query message text", QUERIES, 2, "message 1", query(1, messages=["hi"])),
    Row("query message no content", QUERIES, 2, "message 1", query(1, messages=[{"role": "user"}])),
    Row("query message null", QUERIES, 2, "message 1", query(1, messages=[{"role": "user", "content": None}])),
    Row("query no user", QUERIES, 2, "no user message", query(1, messages=[{"role": "system", "content": "x"}])),
    # answers
    Row("no answers", SMALL, 1, "no such file", spoil=lambda folder: answers_file(folder, "small").unlink()),
    Row("stray answers", "huge.jsonl.gz", 1, "unknown model", spoil=lambda f: answers_file(f, "huge").write_bytes(b"")),
    Row("answers empty", SMALL, 1, "empty", spoil=write(SMALL, b"")),
    Row("answers cut", SMALL, 1, "truncated", spoil=cut(SMALL, 0.3)),
    Row("answers damaged", SMALL, 7, "gzip", spoil=damage(SMALL)),
    Row("answer not JSON", SMALL, 4, "not JSON", spoil=lines(SMALL, in_line(3, b'"correct"', b"correct"))),
    Row("answer NaN", SMALL, 4, "NaN", spoil=lines(SMALL, in_line(3, b'"latency_s": 0.5', b'"latency_s": NaN'))),
    Row("answer Infinity", SMALL, 4, "Infinity", spoil=lines(SMALL, in_line(3, b"0.5", b"-Infinity"))),
    Row("answer too large a number", SMALL, 4, "not JSON", spoil=lines(SMALL, in_line(3, b"0.5", b"1e999"))),
    Row("answer not UTF-8", SMALL, 3, "not UTF-8", spoil=lines(SMALL, in_line(2, b"think", b"th\xff"))),
    Row("answer twice", SMALL, 6, "'q0' on line 1", answer(5, id="q0")),
    Row("answer unknown id", SMALL, 6, "'q9', a query", answer(5, id="q9")),
    Row("answer missing", SMALL, 5, "1 of 6 queries", lambda draft: draft.answers["small"].pop(2)),
    Row("answer no id", SMALL, 2, "'id' is missing", without("answers", 1, "id")),
    Row("answer no content", SMALL, 2, "'content' is missing", without("answers", 1, "content")),
    Row("answer content null", SMALL, 2, "'content' is None", answer(1, content=None)),
    Row("answer no final", SMALL, 2, "'answer' is missing", without("answers", 1, "answer")),
    Row("answer final a number", SMALL, 2, "'answer' is 70", answer(1, answer=70)),
    Row("answer not graded", SMALL, 2, "'correct' is missing", without("answers", 1, "correct")),
    Row("answer grade null", SMALL, 2, "1 or 0", answer(1, correct=None)),
    Row("answer grade 2", SMALL, 2, "1 or 0", answer(1, correct=2)),
    Row("answer grade a list", SMALL, 2, "1 or 0", answer(1, correct=[1])),
    Row("answer no tokens", SMALL, 2, "'prompt_tokens' is missing", without("answers", 1, "prompt_tokens")),
    Row("answer negative tokens", SMALL, 2, "0 or more", answer(1, prompt_tokens=-1)),
    Row("answer impossible tokens", SMALL, 2, "0 or more", answer(1, prompt_tokens=2**64)),
    Row("answer half tokens", SMALL, 2, "whole number", answer(1, completion_tokens=1.5)),
    Row("answer negative latency", SMALL, 2, "0 or more", answer(1, latency_s=-0.1)),
    Row("answer confidence 2", SMALL, 2, "from 0 to 1", answer(1, confidence=2)),
    Row("answer confidence price", SMALL, 2, "0 or more", answer(1, confidence_usd=-1)),
    Row("answer abstained text", SMALL, 2, "true or false", answer(1, abstained="no")),
    Row("verdict text", SMALL, 2, "an object", answer(1, judge="yes")),
    Row("verdict unknown judge", SMALL, 2, "unknown model", answer(1, judge={"model": "huge", "valid": True})),
    Row("verdict not given", SMALL, 2, "'valid' is missing", answer(1, judge={"model": "large"})),
    Row("verdict no tokens", SMALL, 2, "_tokens", answer(1, judge={"model": "large", "valid": True})),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_broken_recording_names_file_and_line(tmp_path, row):
    draft = Draft()
    if row.bend:
        row.bend(draft)
    folder = draft.write(tmp_path / "r")
    if row.spoil:
        row.spoil(folder)
    with pytest.raises(ConfigError) as caught:
        load(folder)
    assert f"{row.file}, line {row.line}: " in caught.value.message
    assert row.words in caught.value.message


def test_a_cut_in_a_long_file_is_found_at_its_line(tmp_path):
    path = tmp_path / "long.jsonl.gz"
    whole = gzip.compress(b"".join(b'{"number": %d}\n' % number for number in range(100_000)))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match="truncated") as caught:
        list(read_objects(path))
    line = int(caught.value.message.split("line ")[1].split(":")[0])
    assert 40_000 < line < 60_000


def test_a_name_that_no_file_can_have_is_an_error_at_its_file(tmp_path):
    draft = Draft()
    draft.header["models"]["x" * 300] = draft.header["models"]["small"]
    with pytest.raises(ConfigError, match=r"x\.jsonl\.gz, line 1: the file cannot be read"):
        load(draft.write(tmp_path / "r"))


def test_two_models_that_would_share_a_file_are_refused(tmp_path):
    draft = Draft()
    draft.header["models"]["vendor--medium"] = draft.header["models"]["small"]
    with pytest.raises(ConfigError, match=r"line \d+: .*share its file"):
        load(draft.write(tmp_path / "r"))
