"""Where the cursor is in a piece of bash: in which word of which command, and in what quotes. No I/O.

Only as much of bash's grammar as a completion needs, read from the beginning to the cursor. Nothing is
expanded, and nothing run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["command", "argument", "file", "variable", "none"]

# Words behind which a command begins.
_BEFORE_COMMANDS = frozenset(
    ["if", "then", "elif", "else", "while", "until", "do", "{", "}", "!", "time", "coproc"]
)
# Commands whose argument is a command.
WRAPPERS = frozenset(["command", "builtin", "exec", "sudo", "env", "nohup", "time", "nice", "xargs", "watch"])
_SEPARATORS = frozenset(";&|\n()")
_BLANKS = frozenset(" \t")


@dataclass
class Place:
    """What is before the cursor.

    ``words`` are the words of the command before this one, and ``word`` as much as there is of this one,
    both without their quotes. ``start`` is where it begins in the text (behind an opening quote), and
    ``quote`` the quotes that are open there. ``brace``: the variable is written ``${``; ``is_plain``: no word
    has a quote, an expansion or anything else that means more than itself.
    """

    kind: Kind
    start: int
    word: str = ""
    words: list[str] = field(default_factory=list)
    quote: str = ""
    brace: bool = False
    is_plain: bool = True


class _Level:
    """One command being read: the cell's, or that of a substitution inside it."""

    def __init__(self, end: str = "", *, quoted: bool = False) -> None:
        self.end = end  # the character that ends this substitution
        self.quoted = quoted  # it stands in double quotes
        self.words: list[str] = []
        self.redirects = False
        self.is_plain = True
        self.begin_word()

    def begin_word(self) -> None:
        self.word = ""
        self.start = -1
        self.is_word = False

    def end_word(self) -> None:
        """Keep the word that ends here, unless it is one behind which a command begins."""
        if self.is_word:
            if self.redirects:
                self.redirects = False
            elif self.words or not (self.word in _BEFORE_COMMANDS or _assigns(self.word)):
                self.words.append(self.word)
        self.begin_word()

    def end_command(self) -> None:
        self.end_word()
        self.words = []
        self.redirects = False
        self.is_plain = True


def place(text: str, cursor: int) -> Place:
    """Return where ``cursor`` (in code points) is in ``text``."""
    text = text[:cursor]
    levels = [_Level()]
    quote = ""
    quote_at = 0
    at = 0
    while at < len(text):
        level = levels[-1]
        char = text[at]
        if quote == "'":
            if char == "'":
                quote = ""
            else:
                level.word += char
            at += 1
            continue
        if char == "\\" and not (quote and text[at + 1 : at + 2] not in ('"', "\\", "$", "`", "\n")):
            if text[at + 1 : at + 2] != "\n":
                _begin(level, at)
                level.word += text[at + 1 : at + 2]
                level.is_plain = False
            at += 2
            continue
        if char == "$":
            size, variable = _expansion(text, at)
            if variable is not None and at + size == len(text):
                return Place(
                    "variable", len(text) - len(variable), variable, brace=text[at + 1 : at + 2] == "{"
                )
            _begin(level, at)
            level.is_plain = False
            if text.startswith("$(", at) and not text.startswith("$((", at):
                levels.append(_Level(")", quoted=bool(quote)))
                quote = ""
                at += 2
                continue
            level.word += text[at : at + size]
            at += size
            continue
        if char == "`":
            if level.end == "`":
                quote = '"' if levels.pop().quoted else ""
            else:
                _begin(level, at)
                level.is_plain = False
                levels.append(_Level("`", quoted=bool(quote)))
                quote = ""
            at += 1
            continue
        if char == '"':
            quote = "" if quote else '"'
            quote_at = at + 1
            _begin(level, at)
            level.is_plain = False
            at += 1
            continue
        if quote:
            level.word += char
            at += 1
            continue
        if char == "'":
            quote, quote_at = "'", at + 1
            _begin(level, at)
            level.is_plain = False
        elif char == level.end:
            quote = '"' if levels.pop().quoted else ""
        elif char in _SEPARATORS:
            if level.redirects and char in "&|" and not level.is_word:  # as in >& and >|
                pass
            else:
                level.end_command()
        elif char in _BLANKS:
            level.end_word()
        elif char in "<>":
            if level.word.isdecimal():
                level.begin_word()
            level.end_word()
            level.redirects = True
        elif char == "#" and not level.is_word:
            end = text.find("\n", at)
            if end < 0:
                return Place("none", len(text))
            at = end
            continue
        else:
            _begin(level, at)
            level.word += char
        at += 1
    return _found(levels[-1], len(text), quote, quote_at)


def _found(level: _Level, end: int, quote: str, quote_at: int) -> Place:
    start = quote_at if quote else level.start if level.is_word else end
    word = level.word
    kind: Kind = "argument" if level.words else "command"
    if level.redirects:
        kind = "file"
    elif not level.words and (name := _assigns(word)):
        kind, word, start = "file", word[len(name) :], start + (0 if quote else len(name))
    elif len(level.words) == 1 and level.words[0] in WRAPPERS and not word.startswith("-"):
        kind = "command"
    return Place(kind, start, word, list(level.words), quote, is_plain=level.is_plain)


def _begin(level: _Level, at: int) -> None:
    if not level.is_word:
        level.is_word, level.start = True, at


def _assigns(word: str) -> str:
    """Return the name and the ``=`` (or ``+=``) that a word begins with, if it assigns something."""
    name, equals, _ = word.partition("=")
    bare = name.removesuffix("+").partition("[")[0]
    return name + equals if equals and bare.isidentifier() else ""


def _expansion(text: str, at: int) -> tuple[int, str | None]:
    """Return how long the expansion at a ``$`` is, and the beginning of a name if it ends with one."""
    begin = at + 1
    brace = text.startswith("{", begin)
    if brace:
        begin += 1
        if text[begin : begin + 1] in ("#", "!"):
            begin += 1
    end = begin
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    name = text[begin:end]
    is_name = not name or not name[0].isdecimal()
    if brace and end < len(text):
        close = text.find("}", end)
        return (close + 1 if close >= 0 else len(text)) - at, None
    return end - at, name if is_name and (name or brace or end == len(text)) else None
