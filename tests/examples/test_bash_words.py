"""Where the cursor is in a piece of bash."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.examples.bash_kernel.words import place


@pytest.mark.parametrize(
    ("text", "kind", "word", "words"),
    [
        ("", "command", "", []),
        ("ec", "command", "ec", []),
        ("echo ", "argument", "", ["echo"]),
        ("git ch", "argument", "ch", ["git"]),
        ("git -C x ch", "argument", "ch", ["git", "-C", "x"]),
        ("ls; ec", "command", "ec", []),
        ("ls | gr", "command", "gr", []),
        ("ls && gr", "command", "gr", []),
        ("ls &", "command", "", []),
        ("a\nb", "command", "b", []),
        ("if tr", "command", "tr", []),
        ("for x in a; do ec", "command", "ec", []),
        ("( ec", "command", "ec", []),
        ("{ ec", "command", "ec", []),
        ("! gr", "command", "gr", []),
        ("case x in a) ec", "command", "ec", []),
        ("sudo ap", "command", "ap", ["sudo"]),
        ("sudo -u", "argument", "-u", ["sudo"]),
        ("X=1 ec", "command", "ec", []),
        ("X=/et", "file", "/et", []),
        ("X+=(a", "command", "a", []),
        ("a[0]=/et", "file", "/et", []),
        ("ls > fi", "file", "fi", ["ls"]),
        ("ls 2>fi", "file", "fi", ["ls"]),
        ("ls >&", "file", "", ["ls"]),
        ("ls < fi arg", "argument", "arg", ["ls"]),
        ("ls 'a b", "argument", "a b", ["ls"]),
        ("ls 'a b' c", "argument", "c", ["ls", "a b"]),
        ('ls "a b', "argument", "a b", ["ls"]),
        (r"ls a\ b", "argument", "a b", ["ls"]),
        ("ls 'a'\"b\"c", "argument", "abc", ["ls"]),
        ("echo $HO", "variable", "HO", []),
        ("echo ${HO", "variable", "HO", []),
        ("echo ${#HO", "variable", "HO", []),
        ("echo ${!HO", "variable", "HO", []),
        ("echo $", "variable", "", []),
        ('echo "a $HO', "variable", "HO", []),
        ("echo $(gr", "command", "gr", []),
        ("echo $(git ch", "argument", "ch", ["git"]),
        ('echo "$(git ch', "argument", "ch", ["git"]),
        ("echo `git ch", "argument", "ch", ["git"]),
        ("echo $(ls) x", "argument", "x", ["echo", ""]),
        ('echo "$(ls)" x', "argument", "x", ["echo", ""]),
        ("echo ${x:-y} z", "argument", "z", ["echo", "${x:-y}"]),
        ("echo '$HO", "argument", "$HO", ["echo"]),
        ("# a comment", "none", "", []),
        ("echo a#b", "argument", "a#b", ["echo"]),
        ("echo a # b\nec", "command", "ec", []),
        ("echo a \\\n b", "argument", "b", ["echo", "a"]),
        ("echo \u00e9\U0001d41a", "argument", "\u00e9\U0001d41a", ["echo"]),
    ],
)
def test_a_place(text: str, kind: str, word: str, words: list[str]) -> None:
    found = place(text + " rest", len(text))
    assert (found.kind, found.word, found.words) == (kind, word, words)


@pytest.mark.parametrize(
    ("text", "start", "quote"),
    [
        ("ls fi", 3, ""),
        ("ls 'a b", 4, "'"),
        ('ls "a b', 4, '"'),
        ("X=/et", 2, ""),
        ("echo $HO", 6, ""),
        ("echo ${HO", 7, ""),
        ("ls ", 3, ""),
        ("echo \u00e9\U0001d41a fi", 8, ""),
    ],
)
def test_where_a_word_starts(text: str, start: int, quote: str) -> None:
    found = place(text, len(text))
    assert (found.start, found.quote) == (start, quote)


def test_words_that_mean_more_than_themselves_are_not_plain() -> None:
    assert place("ls a", 4).is_plain
    for text in ("ls $x a", "ls 'x' a", 'ls "x" a', r"ls \x a", "ls $(x) a", "ls `x` a"):
        assert not place(text, len(text)).is_plain
    assert place("ls $(x); ls a", 13).is_plain


@given(st.text(alphabet="ab '\"\\$(){}`;&|<>#=\n!", max_size=30), st.data())
def test_any_text_has_a_place(text: str, data: st.DataObject) -> None:
    cursor = data.draw(st.integers(0, len(text)))
    found = place(text, cursor)
    assert 0 <= found.start <= cursor
