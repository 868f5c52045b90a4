"""The library of plans stays small."""

import ast
import io
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "plans" / "paas_plans"
MOST_LINES = 3000
NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}


def lines_of_code(text):
    """Those with anything but blanks, a comment or a docstring."""
    found = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            found |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(found)


def test_lines_are_counted_as_readers_of_code_do():
    assert lines_of_code('"""One.\n\nTwo."""\n\nx = """a\nb"""  # c\n# d\n\ndef f():\n    """E."""\n') == 3


def test_it_is_at_most_three_thousand_lines_of_code():
    assert sum(lines_of_code(path.read_text()) for path in PACKAGE.rglob("*.py")) <= MOST_LINES
