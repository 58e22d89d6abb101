"""pydantic-ai: an agent with a tool, and one with a typed result.

pip install "pydantic-ai-slim[openai]"
OPENAI_BASE_URL=http://127.0.0.1:8000/v1 python examples/with_pydantic_ai.py
"""

import os

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

model = OpenAIChatModel(
    "auto",
    provider=OpenAIProvider(
        base_url=os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1"),
        api_key=os.environ.get("OPENAI_API_KEY", "any"),
    ),
)


class Sum(BaseModel):
    """A sum."""

    answer: int


agent = Agent(model)


@agent.tool_plain
def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return f"7 degrees in {city}"


print("plain:", agent.run_sync("What is 17 + 25?").output)
weather = agent.run_sync("What is the weather in Paris?")
print("tools:", weather.output, "after", weather.usage.requests, "requests")
print("typed:", repr(Agent(model, output_type=Sum).run_sync("What is 17 + 25?").output))
