"""openai-python: plain, streamed, typed and asynchronous. Only the base URL is different.

pip install openai
OPENAI_BASE_URL=http://127.0.0.1:8000/v1 python examples/with_openai.py
"""

import asyncio
import os

from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

BASE_URL = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1")
API_KEY = os.environ.get("OPENAI_API_KEY", "any")
QUESTION = [{"role": "user", "content": "What is 17 + 25?"}]


class Sum(BaseModel):
    """What the typed call asks for."""

    answer: int


def plain(client: OpenAI) -> None:
    """One answer, and what Gearbox says of it."""
    reply = client.chat.completions.with_raw_response.create(model="auto", messages=QUESTION)
    answer = reply.parse()
    print("plain:", answer.choices[0].message.content)
    print("       answered by", reply.headers["x-gearbox-tier"], "for", reply.headers["x-gearbox-cost-usd"], "USD")


def streamed(client: OpenAI) -> None:
    """The SDK's stream helper; optimistic: the first tier's answer as it comes, judged afterwards."""
    optimistic = {"x-gearbox-stream": "optimistic"}
    with client.chat.completions.stream(model="auto", messages=QUESTION, extra_headers=optimistic) as stream:
        for event in stream:
            if event.type == "content.delta":
                print(event.delta, end="|")
    print("\nstreamed:", stream.get_final_completion().choices[0].message.content)


def typed(client: OpenAI) -> None:
    """`parse` sends the schema, which Gearbox's own check holds each tier to."""
    parsed = client.chat.completions.parse(model="auto", messages=QUESTION, response_format=Sum)
    print("typed:", repr(parsed.choices[0].message.parsed))


async def in_parallel() -> None:
    """Five questions at once."""
    async with AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY) as client:
        asked = [
            client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": f"What is {n} times 12?"}]
            )
            for n in range(5)
        ]
        answers = await asyncio.gather(*asked)
    print("async:", [answer.choices[0].message.content for answer in answers])


if __name__ == "__main__":
    with OpenAI(base_url=BASE_URL, api_key=API_KEY) as openai:
        plain(openai)
        streamed(openai)
        typed(openai)
    asyncio.run(in_parallel())
