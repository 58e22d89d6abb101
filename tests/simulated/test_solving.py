import time

import pytest

from cascade.simulated.chance import Draw
from cascade.simulated.problems import MAKERS, problems
from cascade.simulated.recognise import recognise
from cascade.simulated.tiers import REACH, attempt

PHRASINGS = {
    "what-is-plus": ("What is 17 + 25?", "42"),
    "precedence": ("Please calculate (3 + 4) * 12 - 30 / 6.", "79"),
    "power-right-assoc": ("2^3^2", "512"),
    "minus-before-power": ("What is -2^2?", "-4"),
    "worded": ("What's seven times eight?", "56"),
    "unicode-signs": ("What is 6 \u00d7 7?", "42"),
    "thousands": ("What is 1,200 + 34?", "1234"),
    "percent": ("What is 15% of 80?", "12"),
    "gcd": ("What is the gcd of 84 and 36?", "12"),
    "lcm-of-three": ("What is the least common multiple of 4, 6 and 10?", "60"),
    "power-mod": ("What is the remainder when 7^100 is divided by 13?", "9"),
    "primes": ("Find the sum of all primes below 20.", "77"),
    "equation": ("Solve 3x+5=20", "5"),
    "equation-both-sides": ("If 2(x - 3) = x + 7, what is x?", "13"),
    "factorial": ("What is 5!?", "120"),
    "story": ("Tom has 12 apples. He buys 5 more and then gives 3 to Ann. How many apples does Tom have now?", "14"),
    "story-half": ("I had 20 marbles, lost half of them, and found 4. How many marbles do I have?", "14"),
    "story-compare": ("Tom has 5 pens. Ann has three more pens than Tom. How many do they have altogether?", "13"),
    "shopping": ("A pen costs $3 and a cup costs $5. How much do 4 pens and 2 cups cost in total?", "22"),
    "journey": ("A train travels at 60 km/h for 3 hours and then at 80 km/h for 2 hours. How far does it go?", "340"),
    "discount": (
        "A coat costs $80. It is discounted by 25% and then a 10% tax is added. What is the final price?",
        "66",
    ),
    "ratio": ("The ratio of cats to dogs is 3:4. There are 12 cats. How many dogs are there?", "16"),
    "average": ("What is the average of 4, 8 and 12?", "8"),
    "sort": ("Sort the list [3, 1, 2].", "[1, 2, 3]"),
    "chain": ("Reverse the list [1, 2, 3, 4] and then take the first 3 elements.", "[4, 3, 2]"),
    "filter-first": ("What is the sum of the even numbers in [1, 2, 4, 7]?", "6"),
    "dedupe-chain": ("Remove the duplicates from [1, 2, 2, 3], sort it descending, and give the second element.", "2"),
    "letter-count": ("How many r's are in strawberry?", "3"),
    "vowels": ("How many vowels are in the word banana?", "3"),
    "palindrome": ('Is "level" a palindrome?', "yes"),
    "caesar": ('Shift each letter of "abc" by 3 positions in the alphabet.', "def"),
    "anagram": ('Are "listen" and "silent" anagrams?', "yes"),
    "intersection": ("Which numbers are in both [1, 2, 3] and [2, 3, 4]?", "[2, 3]"),
    "by-length": ("Sort the words by length: pear, fig, banana", "[fig, pear, banana]"),
    "choice": ("What is 12 * 12? A) 124 B) 144 C) 154. Answer with only the letter.", "B"),
    "choice-lines": ("What is 2 + 2?\nA. 3\nB. 4\nC. 5", "B"),
    "form-wish": ("What is 2 + 2? Reply with only the number.", "4"),
}
OUTSIDE = {
    "knowledge": "What is the capital of France?",
    "poem": "Write a poem about 3 cats and 4 dogs.",
    "half-understood": "Tom has 3 apples and paints 2 of them blue. How many are red?",
    "unknown-operation": "What is the sum of the prime numbers in [2, 3, 4]?",
    "division-by-zero": "What is 3 / 0?",
    "huge-power": "What is 9^9^9?",
    "empty": "",
    "phone": "Call me at 555-1234 tomorrow",
}
HOSTILE = {
    "parentheses": "What is " + "(" * 10**6,
    "digits": "What is " + "9" * 10**6 + " + 1?",
    "commas": "1, " * 300_000,
    "words": "has 3 and " * 100_000 + "how many?",
    "quotes": "'" * 10**6,
    "spaces": "What is" + " " * 10**6 + "2 + 2?",
    "brackets": "[" * 10**6,
    "just-below-the-cut": "(1+" * 1330,
    "many-clauses": "Tom buys 3, and then " * 190,
    "long-list": "Sort [" + "1, " * 1300 + "2]",
    "letters": "a" * 3999,
}


@pytest.mark.parametrize(("question", "answer"), PHRASINGS.values(), ids=PHRASINGS)
def test_a_natural_phrasing_is_solved(question, answer):
    task = recognise(question)
    assert task is not None
    assert task.answer == answer
    assert answer not in task.wrongs
    assert task.wrongs


@pytest.mark.parametrize("question", OUTSIDE.values(), ids=OUTSIDE)
def test_what_is_outside_the_families_is_not_guessed_at(question):
    assert recognise(question) is None


@pytest.mark.parametrize("question", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_input_is_read_in_well_under_a_second(question):
    start = time.perf_counter()
    recognise(question)
    assert time.perf_counter() - start < 0.7


@pytest.mark.parametrize("place", range(len(MAKERS)), ids=[maker.__name__.strip("_") for _, maker in MAKERS])
def test_the_solver_agrees_with_the_generators_own_answer(place):
    _, maker = MAKERS[place]
    for index in range(100):
        question, answer = maker(Draw("test", place, index), index / 80)
        task = recognise(question)
        assert task is not None, question
        assert task.answer == answer, question


@pytest.fixture(scope="module")
def series():
    return problems(7, 600)


def test_the_tiers_are_graded(series):
    rights = {}
    for tier in REACH:
        rights[tier] = sum(attempt(tier, recognise(p.question), 0, p.question) == p.answer for p in series) / 600
    assert 0.45 <= rights["small"] <= 0.6
    assert 0.7 <= rights["medium"] <= 0.82
    assert 0.9 <= rights["large"] <= 0.97


def test_problems_rise_in_difficulty_and_hold_both_families(series):
    assert [p.difficulty for p in series] == sorted(p.difficulty for p in series)
    assert {p.family for p in series} == {"arithmetic", "lists"}
    assert series[0].difficulty < 0.1
    assert series[-1].difficulty > 0.9


def test_the_same_seed_gives_the_same_problems():
    assert problems(3, 20) == problems(3, 20)
    assert problems(3, 20) != problems(4, 20)
