"""Writes a small recording: three models, six queries, everything that the format knows."""

import gzip
import json
from copy import deepcopy
from pathlib import Path

import yaml

MODELS = {
    "small": {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.4, "prior_accuracy": 0.5},
    "vendor/medium": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 4, "prior_accuracy": 0.7},
    "large": {"input_usd_per_mtok": 10, "output_usd_per_mtok": 40.0, "prior_accuracy": 0.9},
}
SIMULATED = {
    "kind": "simulated",
    "accept_right": 0.9,
    "accept_wrong": 0.4,
    "prompt_overhead_tokens": 800,
    "completion_tokens": 5,
}
#: The last two queries share their text.
TEXTS = ("What is 1 + 1?", "What is 2 + 2?", "What is 3 + 3?", "What is 4 + 4?", "Which one?", "Which one?")
REFERENCES = ("2", "4", "6", "8", "A", "B")


class Draft:
    """A recording that can be bent before it is written."""

    def __init__(self, judge="recorded"):
        ladders = {"default": list(MODELS), "two": ["small", "large"]}
        block = {"kind": "recorded"} if judge == "recorded" else dict(SIMULATED)
        self.header = {"name": "tiny", "about": "made by a test", "models": deepcopy(MODELS), "ladders": ladders}
        self.header |= {"judge": block, "splits": ["dev", "test"]}
        self.queries = [_query(place) for place in range(len(TEXTS))]
        self.answers = {model: [_answer(model, place) for place in range(len(TEXTS))] for model in MODELS}
        if judge != "recorded":
            for answer in (answer for answers in self.answers.values() for answer in answers):
                answer.pop("judge", None)

    def write(self, folder: Path) -> Path:
        (folder / "answers").mkdir(parents=True)
        (folder / "recording.yaml").write_text(yaml.safe_dump(self.header, sort_keys=False))
        write_lines(folder / "queries.jsonl.gz", self.queries)
        for model, answers in self.answers.items():
            write_lines(answers_file(folder, model), answers)
        return folder


def answers_file(folder: Path, model: str) -> Path:
    return folder / "answers" / f"{model.replace('/', '--')}.jsonl.gz"


def write_lines(path: Path, objects) -> None:
    path.write_bytes(gzip.compress(b"".join(json.dumps(entry).encode() + b"\n" for entry in objects)))


def edit_lines(path: Path, edit) -> None:
    """Let `edit` change the list of the file's lines, as bytes without their ends."""
    lines = gzip.decompress(path.read_bytes()).splitlines()
    edit(lines)
    path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines)))


def _query(place):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": TEXTS[place]}]
    split = "dev" if place % 2 == 0 else "test"
    task = "sums" if place < 4 else "choice"
    return {"id": f"q{place}", "task": task, "split": split, "messages": messages, "reference": REFERENCES[place]}


def _answer(model, place):
    """`small` is right on even queries and abstains on q3, `medium` is wrong on q1 only, `large` is always right."""
    right = model == "large" or (model == "vendor/medium" and place != 1) or (model == "small" and place % 2 == 0)
    abstained = model == "small" and place == 3
    final = "" if abstained else REFERENCES[place] if right else "wrong"
    answer = {"id": f"q{place}", "content": "Abstain" if abstained else f"I think the answer is {final}"}
    answer |= {"answer": final, "correct": int(right), "prompt_tokens": 20, "completion_tokens": 10 + place}
    answer |= {"latency_s": 0.5, "abstained": abstained, "confidence": 0.25 + place / 8}
    if model != "large" and not abstained:
        usage = {"prompt_tokens": 100, "completion_tokens": 3, "latency_s": 0.25}
        answer["judge"] = {"model": "vendor/medium", "valid": right, **usage}
    return answer
