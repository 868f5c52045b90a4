"""The language of `rules:if`: `$VAR == "text" && ($OTHER =~ /re/i || $THIRD != null)`.

After GitLab's `lib/gitlab/ci/pipeline/expression/`: comparisons bind before `&&`, that before `||`; a
variable that is not set is null; in the end null, false and blank texts do not hold.
"""

import re
from collections.abc import Callable
from typing import TypeAlias

import attrs

from paas_runner.pipelines.gitlab_ci.bounds import Budget
from paas_runner.pipelines.gitlab_ci.patterns import Pattern

MOST_TOKENS = 100
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<sign>[()]|==|!=|=~|!~|&&|\|\|)
      | \$(?P<variable>\w+)
      | "(?P<double>[^"]*)"
      | '(?P<single>[^']*)'
      | /(?P<pattern>(?:[^/\\\n]|\\.)+)/(?P<flags>[ismU]*)
      | (?P<word>null|true|false)\b
    )""",
    re.VERBOSE,
)
_PATTERN_TEXT = re.compile(r"/(?P<pattern>.+)/(?P<flags>[ismU]*)", re.DOTALL)
_WORDS = {"null": None, "true": True, "false": False}
_COMPARISONS = frozenset({"==", "!=", "=~", "!~"})

Value: TypeAlias = "str | bool | Pattern | None"
Lookup: TypeAlias = Callable[[str], str | None]
"""The value of a variable; None for one that is not set."""


class ExpressionError(ValueError):
    """An expression that is none."""


def holds(text: str, lookup: Lookup, budget: Budget) -> bool:
    """Whether the expression is true.

    Raises `ExpressionError`, also for the part that is not looked at in the end; `PatternError` for a pattern
    that is wrong or not understood, `PipelineError` when patterns have taken too long.
    """
    budget.take_steps(len(text) // 100)  # that is how much longer a pattern takes
    parser = _Parser(_tokens(text), lookup, budget)
    value = parser.alternatives()
    if parser.left:
        raise ExpressionError(f"`{parser.left[0].text}` was not expected")
    return bool(value.strip()) if isinstance(value, str) else bool(value)


@attrs.frozen
class _Token:
    text: str
    kind: str  # the name of a group of `_TOKEN`
    value: str
    flags: str = ""


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while text[position:].strip():
        found = _TOKEN.match(text, position)
        if found is None:
            raise ExpressionError(f"`{text[position:].strip()[:40]}` is not understood")
        if len(tokens) == MOST_TOKENS:
            raise ExpressionError(f"it has more than {MOST_TOKENS} parts")
        kind = found.lastgroup if found.lastgroup != "flags" else "pattern"
        tokens.append(_Token(found[0].strip(), kind or "", found[kind or 0], found["flags"] or ""))
        position = found.end()
    return tokens


class _Parser:
    """Parses and evaluates in one go; `&&` and `||` give back a side, as in Ruby."""

    def __init__(self, tokens: list[_Token], lookup: Lookup, budget: Budget) -> None:
        self.left = tokens
        self._lookup = lookup
        self._budget = budget

    def alternatives(self) -> Value:
        """`… || …`"""
        value = self._both()
        while self._taken("||"):
            other = self._both()
            value = other if value is None or value is False else value
        return value

    def _both(self) -> Value:
        value = self._comparison()
        while self._taken("&&"):
            other = self._comparison()
            value = value if value is None or value is False else other
        return value

    def _comparison(self) -> Value:
        value = self._value()
        while self.left and self.left[0].kind == "sign" and self.left[0].value in _COMPARISONS:
            sign = self.left.pop(0).value
            value = self._compared(value, sign, self._value())
        return value

    def _compared(self, left: Value, sign: str, right: Value) -> bool:
        if sign in ("==", "!="):
            return (type(left) is type(right) and left == right) == (sign == "==")
        return self._matches(left, right) == (sign == "=~")

    def _matches(self, left: Value, right: Value) -> bool:
        """A variable may hold a pattern in slashes; any other text is searched for the left side."""
        text = left if isinstance(left, str) else ""
        if isinstance(right, str):
            written = _PATTERN_TEXT.fullmatch(right)
            if written is None:
                return text in right
            right = self._pattern(written["pattern"], written["flags"])
        if not isinstance(right, Pattern):
            return False
        return right.found_in(text, self._budget.take_steps)

    def _pattern(self, text: str, flags: str) -> Pattern:
        pattern = Pattern(text.replace("\\/", "/"), flags)
        self._budget.take_steps(pattern.size)
        return pattern

    def _value(self) -> Value:
        if not self.left:
            raise ExpressionError("it ends too early")
        token = self.left.pop(0)
        match token.kind:
            case "variable":
                return self._lookup(token.value)
            case "double" | "single":
                return token.value
            case "pattern":
                return self._pattern(token.value, token.flags)
            case "word":
                return _WORDS[token.value]
        if token.value == "(":
            value = self.alternatives()
            if not self._taken(")"):
                raise ExpressionError("a parenthesis is not closed")
            return value
        raise ExpressionError(f"`{token.text}` was not expected")

    def _taken(self, sign: str) -> bool:
        if self.left and self.left[0].kind == "sign" and self.left[0].value == sign:
            del self.left[0]
            return True
        return False
