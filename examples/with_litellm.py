"""litellm as a client: Gearbox is one more OpenAI-compatible host to it.

pip install litellm
OPENAI_BASE_URL=http://127.0.0.1:8000/v1 python examples/with_litellm.py
"""

import os

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it would fetch prices from the net otherwise

import litellm

HOST = {
    "api_base": os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1"),
    "api_key": os.environ.get("OPENAI_API_KEY", "any"),
}
QUESTION = [{"role": "user", "content": "What is 17 + 25?"}]

answer = litellm.completion(model="openai/auto", messages=QUESTION, **HOST)
print("plain:", answer.choices[0].message.content)
chunks = litellm.completion(model="openai/auto", messages=QUESTION, stream=True, **HOST)
print("streamed:", "".join(chunk.choices[0].delta.content or "" for chunk in chunks))
