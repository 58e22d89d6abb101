"""instructor: structured output with its retries.

pip install instructor
OPENAI_BASE_URL=http://127.0.0.1:8000/v1 python examples/with_instructor.py
"""

import os

import instructor
from openai import OpenAI
from pydantic import BaseModel

openai = OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "any"),
)
QUESTION = [{"role": "user", "content": "What is 17 + 25?"}]


class Sum(BaseModel):
    """A sum."""

    answer: int


for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
    client = instructor.from_openai(openai, mode=mode)
    found, completion = client.chat.completions.create_with_completion(
        model="auto", messages=QUESTION, response_model=Sum
    )
    print(f"{mode.name}:", repr(found), "answered by", completion.model)
