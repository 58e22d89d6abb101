"""What the tests of the lab share: the repository's own recording, a configuration, an embedder without a model."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
SIMULATED = ROOT / "recordings" / "simulated"
QUESTIONS = [f"What is {a} {sign} {b}?" for a in (3, 17, 412) for sign in "+-*" for b in (5, 29, 873)]
TIERS = "".join(
    f"  - {{name: {name}, deployments: [{{model: simulated/{name}}}], prior_accuracy: {prior}, "
    f"price: {{input_usd_per_mtok: {price}, output_usd_per_mtok: {8 * price}}}}}\n"
    for name, price, prior in (("small", 0.05, 0.55), ("medium", 0.5, 0.76), ("large", 5.0, 0.93))
)


class FakeEmbedder:
    """A text's vector is the counts of its letters: no model is loaded."""

    model = "all-MiniLM-L6-v2"
    dimensions = 64

    def embed_many(self, texts):
        return np.stack([vector_of(text) for text in texts])

    async def embed(self, text):
        return vector_of(text)

    async def ping(self):
        pass


def vector_of(text):
    vector = np.zeros(64, dtype=np.float32)
    for letter, count in Counter(text).items():
        vector[hashlib.sha256(letter.encode()).digest()[0] % 64] += count
    return vector / np.linalg.norm(vector)
