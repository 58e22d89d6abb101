"""Makes the repository's own recording: the simulated tiers answer 600 questions and judge each other.

Everything is a function of the seed, so the files are the same every time. Run by `scripts/make-recording`.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cascade.margins import first_token_margin
from cascade.prompts import judge_body, read_verdict
from cascade.simulated.chance import fraction
from cascade.simulated.completion import as_object, complete
from cascade.simulated.final import same
from cascade.simulated.problems import problems
from cascade.simulated.request import read_request
from router.domain import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cascade.simulated.problems import Problem

SEED, QUERIES = 4, 600
SYSTEM = "Solve the task. End with: The answer is ..."
#: USD per million tokens in and out: those of the simulated tiers in `app/config/ladder.py`.
PRICES = {"small": (0.05, 0.40), "medium": (0.50, 2.00), "large": (5.00, 20.00)}
TIERS = tuple(PRICES)
ABOUT = """\
Made by scripts/make-recording: 600 arithmetic, word, list and string problems (task = family), solved by Gearbox's
simulated tiers (seed 4). No model took part: a tier is right up to its reach and makes believable slips beyond, so this
recording shows that the machinery works, and nothing about any vendor's model.
Judges: medium judges small's and its own answers; large is not judged. confidence = the margin of the first token.
Splits by hash, half each; priors are accuracies on train. Prices are invented. No latency was recorded.
"""


def main() -> None:
    """Make it and write it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", nargs="?", type=Path, default=Path("recordings/simulated"))
    for path, data in files().items():
        target = options.parse_args().folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def files() -> dict[str, bytes]:
    """Path within the recording -> its bytes."""
    made = sorted(problems(SEED, QUERIES), key=lambda problem: fraction("order", SEED, problem.question))
    queries = [_query(place, problem) for place, problem in enumerate(made)]
    answers = {tier: [_answer(tier, *pair) for pair in zip(queries, made, strict=True)] for tier in TIERS}
    found = {"recording.yaml": _header(queries, answers), "queries.jsonl.gz": _packed(queries)}
    return found | {f"answers/{tier}.jsonl.gz": _packed(told) for tier, told in answers.items()}


def _query(place: int, problem: Problem) -> dict[str, Any]:
    name = f"sim:{place:03d}"
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": problem.question}]
    split = "train" if fraction("split", SEED, name) < 1 / 2 else "test"
    return {"id": name, "task": problem.family, "split": split, "messages": messages, "reference": problem.answer}


def _answer(tier: str, query: Mapping[str, Any], problem: Problem) -> dict[str, Any]:
    body = _asked(tier, {"messages": query["messages"], "logprobs": True, "top_logprobs": 5})
    message, usage = body["choices"][0]["message"], body["usage"]
    final = message.get("final_answer", "")
    answer = {
        "id": query["id"],
        "content": message["content"],
        "answer": final,
        "correct": int(same(final, problem.answer)),
        "prompt_tokens": usage["prompt_tokens"],
        "completion_tokens": usage["completion_tokens"],
        "confidence": round(first_token_margin(body) or 0.0, 6),
    }
    return answer if tier == TIERS[-1] else {**answer, "judge": _verdict(query, body)}


def _verdict(query: Mapping[str, Any], answered: Mapping[str, Any]) -> dict[str, Any]:
    """What medium says, which judges the lowest tier's answers and its own."""
    body = _asked(TIERS[1], judge_body({"messages": query["messages"]}, Answer(answered), max_tokens=2048))
    usage = body["usage"]
    tokens = {"prompt_tokens": usage["prompt_tokens"], "completion_tokens": usage["completion_tokens"]}
    return {"model": TIERS[1], "valid": read_verdict(Answer(body).text), **tokens}


def _asked(tier: str, body: Mapping[str, Any]) -> dict[str, Any]:
    request = read_request(json.dumps({**body, "model": f"simulated/{tier}"}).encode())
    return as_object(complete(request, SEED, created_s=0), hints=True)


def _header(queries: Sequence[Mapping[str, Any]], answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    train = [query["split"] == "train" for query in queries]
    models = {}
    for tier, (input_usd, output_usd) in PRICES.items():
        grades = [answer["correct"] for answer, fitted in zip(answers[tier], train, strict=True) if fitted]
        prior = round(sum(grades) / len(grades), 2)
        models[tier] = {"input_usd_per_mtok": input_usd, "output_usd_per_mtok": output_usd, "prior_accuracy": prior}
    head = {
        "name": "simulated",
        "about": ABOUT,
        "models": models,
        "ladders": {"default": list(TIERS), "ends": [TIERS[0], TIERS[-1]]},
        "judge": {"kind": "recorded"},
        "splits": ["train", "test"],
    }
    return _yaml(head).encode()


def _yaml(head: Mapping[str, Any]) -> str:
    class Dumper(yaml.SafeDumper):
        """Writes text of several lines as such."""

    def block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Dumper.add_representer(str, block)
    return yaml.dump(dict(head), Dumper=Dumper, sort_keys=False, width=120)


def _packed(objects: Sequence[Mapping[str, Any]]) -> bytes:
    """JSON lines, gzipped without a name and a time."""
    lines = "".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n" for entry in objects)
    held = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=held, mtime=0) as stream:
        stream.write(lines.encode())
    return held.getvalue()


if __name__ == "__main__":
    main()
