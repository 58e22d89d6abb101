"""One extraction of final answers, one normal form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.answers import agrees, final_answer, normalise


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param('{"answer": "B"}', "b", id="json"),
        pytest.param('{"reason": {"x": [1]}, "answer": 70.0}', "70", id="json number"),
        pytest.param('{"answer": [1, 2]}', "[1,2]", id="json list"),
        pytest.param('{"answer": true}', "true", id="json boolean"),
        pytest.param('{"answer": null}', "", id="json null"),
        pytest.param('{"answer": "The answer is \\\\boxed{5}."}', "5", id="json around boxed"),
        pytest.param('Well:\n```json\n{"answer": "C"}\n```\nDone.', "c", id="fenced json"),
        pytest.param('```\n{"answer": 1}\n```\n```json\n{"answer": 2}\n```', "2", id="the last fence"),
        pytest.param('I think so.\n{"answer": "D"}', "d", id="json at the end"),
        pytest.param(r"so \boxed{\frac{1}{2}}.", r"\frac{1}{2}", id="boxed with braces"),
        pytest.param(r"\boxed{1} no, \boxed{2}", "2", id="the last boxed"),
        pytest.param(r"\boxed{3} and a cut \boxed{4", "3", id="a cut box is passed over"),
        pytest.param(r"\boxed{\text{(B)}}", "b", id="boxed text"),
        pytest.param(r"\boxed{\{1, 2\}}", r"\{1,2\}", id="boxed escaped braces"),
        pytest.param(r"The answer is \(\boxed{1{,}000}\).", "1000", id="boxed thousands"),
        pytest.param(r"\boxed{\dfrac{3}{4}}", r"\frac{3}{4}", id="dfrac is frac"),
        pytest.param("The answer is 42.", "42", id="phrase"),
        pytest.param("Answer: 3.14", "3.14", id="answer colon"),
        pytest.param("Final answer:\n\n42", "42", id="answer on the next line"),
        pytest.param("**Answer: B) Paris**", "b", id="markdown option"),
        pytest.param("**Answer:** (C)", "c", id="bold lead"),
        pytest.param("Answer: **B**", "b", id="bold answer"),
        pytest.param("The correct answer is (B), because it is.", "b", id="option with a reason"),
        pytest.param("The answer is B because 2 > 1", "b", id="letter with a reason"),
        pytest.param("The answer is option D.", "d", id="option in words"),
        pytest.param("The answer is A. Apples fall.", "a", id="option then prose"),
        pytest.param("The answer is a dog.", "a dog", id="an article is no option"),
        pytest.param("The answer to 2 + 2 is 4, since it is.", "4", id="the answer to"),
        pytest.param("Answer: 1. No wait. Answer: 2", "2", id="the last phrase"),
        pytest.param("The answer is Paris.\nIt is nice.", "paris", id="the line's end"),
        pytest.param("Answer: $1,234.50", "1234.5", id="money"),
        pytest.param("Answer: .50", "0.5", id="no leading zero"),
        pytest.param("Answer: x + 1", "x+1", id="spaces around operators"),
        pytest.param("B", "b", id="lone letter"),
        pytest.param("(B)", "b", id="lone letter in brackets"),
        pytest.param(" **B.** ", "b", id="lone letter, bold"),
        pytest.param("42.", "42", id="lone number"),
        pytest.param("$42", "42", id="lone price"),
        pytest.param("$-7$", "-7", id="lone formula"),
        pytest.param("\u22125", "-5", id="typographic minus"),
        pytest.param("3/4", "3/4", id="lone fraction"),
        pytest.param("Paris is the capital.", "", id="prose"),
        pytest.param("", "", id="empty"),
        pytest.param("Answer:", "", id="a lead without an answer"),
        pytest.param("{not json}", "", id="broken json"),
        pytest.param('{"result": 5}', "", id="json without answer"),
        pytest.param("[" * 100_000, "", id="deep nesting"),
        pytest.param("Abstain", "", id="abstention"),
    ],
)
def test_final_answer(text, answer):
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("70.0", "70", True),
        ("1,000", "1000", True),
        ("$5", "5", True),
        ("B.", "(b)", True),
        ("-0", "0", True),
        ("007", "7", True),
        ("50%", "50", True),
        ("Yes", "yes.", True),
        ("5", "6", False),
        ("1,00", "100", False),
        ("-5", "5", False),
        ("", "", False),
        ("", "5", False),
    ],
)
def test_extracted_answers_agree(one, other, same):
    assert agrees(final_answer(f"The answer is {one}"), final_answer(f"The answer is {other}")) is same


@pytest.mark.parametrize(("one", "other", "same"), [("'a'", "'a'", True), ("'a'", "'A'", False), ("", "", False)])
def test_answers_that_are_handed_over_agree_to_the_letter(one, other, same):
    assert agrees(one, other) is same


@given(st.text(alphabet="aB1.0,$%*_\\(){}[] -+=:'\"", max_size=12) | st.text(max_size=8))
def test_normalise_is_idempotent(answer):
    assert normalise(normalise(answer)) == normalise(answer)


def test_the_answer_at_the_end_of_ten_megabytes_is_found():
    assert final_answer("answer to a " * 800_000 + "\nThe answer is 42.") == "42"
