"""What is embedded: the last user message, and 300 characters of user turns before it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.questions import question_text


def user(content):
    return {"role": "user", "content": content}


SYSTEM = {"role": "system", "content": "You are a pirate."}
IMAGE = {"type": "image_url", "image_url": {"url": "data:..."}}


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        pytest.param([user("Why?")], "Why?", id="one turn alone"),
        pytest.param([SYSTEM, user("Why?")], "Why?", id="never the system message"),
        pytest.param([{"role": "developer", "content": "x"}, user("Why?")], "Why?", id="nor the developer's"),
        pytest.param([user("A"), {"role": "assistant", "content": "B"}, user("C")], "A\nC", id="earlier user turns"),
        pytest.param([user("x" * 400 + "y" * 300), user("Z")], "y" * 300 + "\nZ", id="300 characters, the last ones"),
        pytest.param([user("a" * 200), user("b" * 250), user("Z")], "a" * 49 + "\n" + "b" * 250 + "\nZ", id="newest"),
        pytest.param([user([{"type": "text", "text": "A"}, IMAGE, {"type": "text", "text": "B"}])], "A\nB", id="parts"),
        pytest.param([user([IMAGE])], "", id="an image alone"),
        pytest.param([user("What is this?"), user([IMAGE])], "What is this?", id="an image after a question"),
        pytest.param([user("Q"), {"role": "tool", "content": "42", "tool_call_id": "t"}], "Q", id="a tool's result"),
        pytest.param([user("Q"), {"role": "assistant", "content": "so"}], "Q", id="a prefilled answer"),
        pytest.param([user(None)], "", id="null content"),
        pytest.param([{"role": "user"}], "", id="no content"),
        pytest.param([SYSTEM], "", id="no user turn"),
        pytest.param([], "", id="no messages"),
        pytest.param(None, "", id="messages missing"),
        pytest.param("Why?", "", id="messages of the wrong type"),
        pytest.param([None, 3, user(7), user([None, 3, {"type": "text", "text": 5}])], "", id="odd everything"),
    ],
)
def test_question_text(messages, text):
    assert question_text(messages) == text


JSON = st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3))


@given(st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": JSON}) | JSON))
def test_question_text_never_fails(messages):
    assert isinstance(question_text(messages), str)
