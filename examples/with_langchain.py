"""langchain-openai: a chat model, its stream, a tool call and structured output.

pip install langchain-openai
OPENAI_BASE_URL=http://127.0.0.1:8000/v1 python examples/with_langchain.py
"""

import os

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

model = ChatOpenAI(
    model="auto",
    base_url=os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "any"),
    default_headers={"x-gearbox-tags": "app=langchain-example"},
)


class Sum(BaseModel):
    """A sum."""

    answer: int


@tool
def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return f"7 degrees in {city}"


print("plain:", model.invoke("What is 17 + 25?").content)
print("streamed:", "".join(str(chunk.content) for chunk in model.stream("What is 17 + 25?")))
print("typed:", repr(model.with_structured_output(Sum, method="json_schema").invoke("What is 17 + 25?")))

# A tool loop: the turn with the result goes to the tier that called the tool.
question = HumanMessage("What is the weather in Paris?")
with_tools = model.bind_tools([get_weather])
asked = with_tools.invoke([question])
results = [ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]) for call in asked.tool_calls]
print("tools:", [call["name"] for call in asked.tool_calls])
print("answer:", with_tools.invoke([question, asked, *results]).content)
