"""Every key and item of a TOML text is found on the line where a person would look for it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriber.toml_lines import Path, lines_of

TEXT = '''\
# [[routes]] in a comment
top = 1
[channels."a.b"]
url = "json://[::1]/#x"   # = [no]
"odd key" = \'\'\'
[[routes]]
x = 1\'\'\'
[[routes]]
name = "first"
match = { severity = ">=WARNING", symbol = [
  "TNA", # the first
  "U]*",
] }
  [[routes.routes]]
  match.kind = "risk_event"
  [[routes.routes]]
  [routes.routes.group]
  by = []
[[routes]]
name = """
two \\""" lines
[x]
"""
channels = [["a"], [
"b"]]
[quiet_hours.night]
windows = ["x"]
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("channels",), 3),
        (("channels", "a.b"), 3),
        (("channels", "a.b", "url"), 4),
        (("channels", "a.b", "odd key"), 5),
        (("routes", 0), 8),
        (("routes", 0, "name"), 9),
        (("routes", 0, "match"), 10),
        (("routes", 0, "match", "severity"), 10),
        (("routes", 0, "match", "symbol", 0), 11),
        (("routes", 0, "match", "symbol", 1), 12),
        (("routes", 0, "routes", 0), 14),
        (("routes", 0, "routes", 0, "match", "kind"), 15),
        (("routes", 0, "routes", 1), 16),
        (("routes", 0, "routes", 1, "group"), 17),
        (("routes", 0, "routes", 1, "group", "by"), 18),
        (("routes", 1, "name"), 20),
        (("routes", 1, "channels"), 24),
        (("routes", 1, "channels", 0, 0), 24),
        (("routes", 1, "channels", 1), 24),
        (("routes", 1, "channels", 1, 0), 25),
        (("quiet_hours", "night", "windows", 0), 27),
    ],
)
def test_lines_of_a_text_with_everything(path: Path, line: int) -> None:
    assert lines_of(TEXT)[path] == line


def test_lines_of_nothing_are_none() -> None:
    assert lines_of("") == lines_of("# only a comment") == {}


# --- any text ----------------------------------------------------------------------------------------------------

KEYS = ("a", "b-1", "c_2", '"d.e"', "'[f]'", '"g \\" = #"', '"\\u0041"')
NOISE = ("", "\n", "# [a] = 'x'\n", '\n  \n# """\n')


class Writer:
    """Writes a random text; each number in it stands there once."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self._number = 1000

    def one_of(self, *items: Any) -> Any:
        return self._draw(st.sampled_from(items))

    def keys(self) -> list[str]:
        return list(self._draw(st.lists(st.sampled_from(KEYS), max_size=3, unique=True)))

    def number(self) -> str:
        self._number += 1
        return str(self._number)

    def value(self, depth: int) -> str:
        kind = self.one_of("number", "text", "literal", "long", "long literal", "list", "table") if depth else "number"
        number = self.number()
        if kind == "list":
            gap = self.one_of("", " ", "\n", " # ] }\n")
            items = [self.value(depth - 1) for _ in range(self.one_of(0, 1, 3))]
            end = self.one_of("", ",") if items else ""
            return f"[{gap}{f',{gap}'.join(items)}{gap}{end}{gap}]"
        if kind == "table":
            return "{ " + ", ".join(f"{key} = {self.value(0)}" for key in self.keys()) + " }"
        return {
            "number": number,
            "text": f'"{number} # [x] = \\" }}"',
            "literal": f'\'{number} ] """ \'',
            "long": f'"""{number}\n[a]\nb = 1 \\""" \\\\\n"" """',
            "long literal": f"'''{number}\n[[a]] \"\"\"\n''  '''",
        }[kind]

    def body(self, header: str, depth: int) -> Iterator[str]:
        keys = self.keys()
        below: list[str] = []
        for key in keys:
            yield self.one_of(*NOISE)
            if depth and self.one_of(False, False, True):
                below.append(key)
                continue
            indent, dotted = self.one_of("", "  ", "\t"), self.one_of("", ".x", " . 'y z'")
            yield f"{indent}{key}{dotted} = {self.value(2)}{self.one_of('', '  # = [[a]]')}\n"
        for key in below:
            name = f"{header}.{key}" if header else key
            many = self.one_of(0, 0, 1, 2)
            for _ in range(many or 1):
                yield f"[[ {name} ]] # ]\n" if many else f"[{name}]\n"
                yield from self.body(name, depth - 1)


@st.composite
def texts(draw: Any) -> str:
    return "".join(Writer(draw).body("", 3))


def places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key), item
        yield from places(item, (*path, key))


@given(texts())
def test_lines_of_any_text_hold_what_stands_there(text: str) -> None:
    document = tomllib.loads(text)
    found = lines_of(text)
    lines = text.split("\n")
    expected = dict(places(document))
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        line = lines[found[path] - 1]
        key = path[-1]
        if isinstance(key, str):
            assert key.replace('"', '\\"') in line or ("\\u0041" in line and key == "A")
        if isinstance(value, int | str):
            assert str(value)[:4] in line, path


@given(st.text(st.sampled_from("ab[]{}=.,\"'# \n\\1"), max_size=40))
def test_lines_of_whatever_tomllib_takes_are_found(text: str) -> None:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert lines_of(text).keys() == dict(places(document)).keys()
