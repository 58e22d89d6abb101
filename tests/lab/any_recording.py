"""Recordings that nobody would make and that are valid nevertheless; and what policies score on them, told anew.

The evaluator knows the format's description and the policies' definitions, and nothing of the code under test.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

import yaml
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.sampled_from(["a", "vendor/b", "größe", "模型 c", "d:free", "e.1", "-f", "pool"])
PRICES = st.sampled_from([0, 0.05, 1, 3, 15.5, 1e-6])
FINALS = st.sampled_from(["", "4", "4", "5", "(a)", "ja"])
TOKENS = st.one_of(st.integers(0, 3_000), st.just(10**9))


def recordings() -> st.SearchStrategy[dict[str, Any]]:
    """The content of a recording as plain data."""
    return st.composite(_draw)()


def _draw(draw) -> dict[str, Any]:
    models = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    ids = draw(st.lists(st.text(min_size=1, max_size=6).filter(_encodable), min_size=1, max_size=9, unique=True))
    simulated = draw(st.booleans())
    block = {"kind": "recorded"}
    if simulated:
        chances = {name: draw(st.floats(0, 1)) for name in ("accept_right", "accept_wrong")}
        block = {"kind": "simulated", **chances, "prompt_overhead_tokens": 840, "completion_tokens": 5}
    equal = draw(st.booleans())
    price = {"input_usd_per_mtok": draw(PRICES), "output_usd_per_mtok": draw(PRICES)}
    header = {
        "name": draw(TEXTS.filter(bool)),
        "models": {name: _model(draw, price if equal else None) for name in models},
        "ladders": {"default": models, "ends": list(dict.fromkeys((models[0], models[-1])))},
        "judge": block,
    }
    extras = {name for name in ("confidence", "judge", "latency_s", "abstained") if draw(st.booleans())}
    answers = {name: [_answer(draw, id_, models, extras, simulated=simulated) for id_ in ids] for name in models}
    return {"header": header, "queries": [_query(draw, id_) for id_ in ids], "answers": answers}


def _encodable(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _model(draw, price) -> dict[str, Any]:
    own = price or {"input_usd_per_mtok": draw(PRICES), "output_usd_per_mtok": draw(PRICES)}
    return {**own, "prior_accuracy": draw(st.sampled_from([0, 0.3, 0.72, 1]))}


def _query(draw, id_) -> dict[str, Any]:
    messages = [{"role": "user", "content": draw(TEXTS)}]
    if draw(st.booleans()):
        messages.insert(0, {"role": "system", "content": draw(TEXTS)})
    return {"id": id_, "task": draw(st.sampled_from(["", "math", "数学"])), "split": "all", "messages": messages} | {
        "reference": ""
    }


def _answer(draw, id_, models, extras, *, simulated) -> dict[str, Any]:
    answer = {"id": id_, "content": draw(TEXTS), "answer": draw(FINALS), "correct": draw(st.integers(0, 1))}
    answer |= {"prompt_tokens": draw(TOKENS), "completion_tokens": draw(TOKENS)}
    if "latency_s" in extras:
        answer["latency_s"] = draw(st.sampled_from([0, 0.25, 3]))
    if "abstained" in extras:
        answer["abstained"] = draw(st.booleans())
    if "confidence" in extras:
        answer["confidence"] = draw(st.sampled_from([0, 0.5, 1]))
        answer["confidence_usd"] = draw(st.sampled_from([0, 0.001]))
    if "judge" in extras and not simulated and draw(st.booleans()):
        usage = {"prompt_tokens": draw(TOKENS), "completion_tokens": draw(TOKENS)}
        answer["judge"] = {"model": draw(st.sampled_from(models)), "valid": draw(st.booleans()), **usage}
    return answer


def write(made: dict[str, Any], folder: Path) -> Path:
    """The recording's folder."""
    (folder / "answers").mkdir(parents=True)
    (folder / "recording.yaml").write_text(yaml.safe_dump(made["header"], allow_unicode=True), encoding="utf-8")
    _write(folder / "queries.jsonl.gz", made["queries"])
    for model, answers in made["answers"].items():
        _write(folder / "answers" / f"{model.replace('/', '--')}.jsonl.gz", answers)
    return folder


def _write(path: Path, objects) -> None:
    path.write_bytes(gzip.compress("".join(json.dumps(each) + "\n" for each in objects).encode()))


class Evaluator:
    """Each policy's (right answers, nano-dollars on answers, nano-dollars on verdicts), from the plain data."""

    def __init__(self, made: dict[str, Any], ladder: list[str]) -> None:
        self._header = made["header"]
        self._ladder = ladder
        self._ids = [query["id"] for query in made["queries"]]
        self._told = {model: {each["id"]: each for each in told} for model, told in made["answers"].items()}

    def score(self, policy: str) -> tuple[int, int, int]:
        """Over all queries."""
        ways = {"bottom-up": self._bottom_up, "agreement": self._agreement, "oracle": self._oracle}
        name, _, argument = policy.partition(":")
        way = ways.get(policy) or {"always": self._always, "random": self._random}[name](argument)
        served = [way(id_) for id_ in self._ids]
        right = sum(self._told[model][id_]["correct"] for id_, (model, _, _) in zip(self._ids, served, strict=True))
        return right, sum(paid for _, paid, _ in served), sum(judged for _, _, judged in served)

    def _always(self, model):
        return lambda id_: (model, self._asked(model, id_), 0)

    def _random(self, share):
        def way(id_):
            digest = hashlib.sha256(f"random\n{id_}".encode()).digest()[:8]
            top = int.from_bytes(digest, "big") / 2**64 < float(share)
            return self._always(self._ladder[-1 if top else 0])(id_)

        return way

    def _oracle(self, id_):
        right = [model for model in self._ladder if self._told[model][id_]["correct"]]
        return self._always((right or self._ladder)[0])(id_)

    def _bottom_up(self, id_):
        """Up until a judge says yes, or fails, and the top as it is; an abstention there leaves the best so far."""
        paid = judged = 0
        ranked = []
        for place, model in enumerate(self._ladder):
            paid += self._asked(model, id_)
            if self._told[model][id_].get("abstained"):
                ranked.append((1, -place, model))
                continue
            if place == len(self._ladder) - 1:
                return model, paid, judged
            valid, cost = self._verdict(model, id_)
            judged += cost
            if valid is not False:
                return model, paid, judged
            ranked.append((0, -place, model))
        return min(ranked)[2], paid, judged

    def _agreement(self, id_):
        paid, earlier = 0, []
        for model in self._ladder:
            paid += self._asked(model, id_)
            said = self._told[model][id_]
            if said.get("abstained"):
                continue
            if model == self._ladder[-1] or (said["answer"] and said["answer"] in [final for final, _ in earlier]):
                return model, paid, 0
            earlier.append((said["answer"], model))
        return (earlier[-1][1] if earlier else self._ladder[-1]), paid, 0

    def _verdict(self, model, id_):
        """(the judge's word, None = it failed; what it cost)."""
        answer, block = self._told[model][id_], self._header["judge"]
        if block["kind"] == "recorded":
            said = answer.get("judge")
            return (said["valid"], self._cost(said["model"], said)) if said else (None, 0)
        digest = hashlib.sha256(f"{id_}\n{model}".encode()).digest()[:8]
        chance = block["accept_right"] if answer["correct"] else block["accept_wrong"]
        shown = answer["prompt_tokens"] + answer["completion_tokens"] + block["prompt_overhead_tokens"]
        usage = {"prompt_tokens": shown, "completion_tokens": block["completion_tokens"]}
        return int.from_bytes(digest, "big") / 2**64 < chance, self._cost(model, usage)

    def _asked(self, model, id_):
        return self._cost(model, self._told[model][id_])

    def _cost(self, model, usage):
        price = self._header["models"][model]
        per_token = [Decimal(str(price[f"{kind}_usd_per_mtok"])) * 1000 for kind in ("input", "output")]
        cost = usage["prompt_tokens"] * per_token[0] + usage["completion_tokens"] * per_token[1]
        return int(cost.quantize(Decimal(1), ROUND_HALF_UP))
