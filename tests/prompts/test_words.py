"""Words are counted in scripts with and without blanks between words."""

import pytest

from persona_lib import prompts


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("", 0),
        (" ?! — … 🙂 ", 0),
        ("Isn't it 3.5 dollars, or 4?", 6),
        ("我应该投票给谁？", 5),
        ("税金は上げるべき？", 5),
        ("เราควรขึ้นภาษีหรือไม่", 6),
        ("ຂ້ອຍຄວນໄປບໍ", 4),
        ("세금을 올려야 합니까?", 3),
        ("क्या मुझे मतदान करना चाहिए?", 5),
        ("half \ud83d a character", 3),
    ],
)
def test_words_are_counted_in_any_script(text, n):
    assert prompts.words.count(text) == n


def test_words_come_in_their_order_without_signs():
    assert prompts.words.split("Isn't it 3.5, 我应该? E-mail!") == ["Isn't", "it", "3.5", "我", "应该", "E", "mail"]


def test_a_long_text_is_counted_at_once():
    assert prompts.words.count("我应该投票给谁？ Who should I vote for? " * 2000) == 20_000
