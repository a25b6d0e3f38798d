"""The templates in docs/whatsapp-templates.md are such as WhatsApp approves and alertbus can fill."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from subscriber.channels.channel import DEFAULT_TEMPLATE_PARAMETERS
from subscriber.channels.credentials import template_fault
from subscriber.channels.window import PARAMETERS_LENGTH
from tests.support.provider_rules import utf16_length

PAGE = (Path(__file__).parents[2] / "docs" / "whatsapp-templates.md").read_text(encoding="utf-8")
BODIES = re.findall(r"^```text\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
#: A template's whole body, its variables filled.
BODY_LIMIT = 1024


def variables_of(body: str) -> list[str]:
    return re.findall(r"\{\{(\d+)\}\}", body)


@pytest.mark.parametrize("body", BODIES)
def test_template_neither_begins_nor_ends_with_a_variable_and_parts_them(body: str) -> None:
    """Meta refuses it otherwise."""
    assert not body.startswith("{{")
    assert not body.rstrip(" .!").endswith("}}")
    assert not re.search(r"\}\}\s*\{\{", body)
    assert "\n\n\n" not in body


@pytest.mark.parametrize("body", BODIES)
def test_template_leaves_room_for_its_variables(body: str) -> None:
    """The fixed words and all variables at their longest are within a body's limit."""
    fixed = re.sub(r"\{\{\d+\}\}", "", body)
    assert utf16_length(fixed) + PARAMETERS_LENGTH <= BODY_LIMIT
    assert utf16_length(fixed) <= 200


def test_templates_have_the_default_number_of_variables_and_one() -> None:
    """Numbered without a gap, each with a sample value that WhatsApp takes."""
    assert [variables_of(body) for body in BODIES] == [["1", "2", "3"], ["1"]]
    assert len(variables_of(BODIES[0])) == DEFAULT_TEMPLATE_PARAMETERS
    samples = re.findall(r"^\| `\{\{(\d)\}\}` \| `(.+)` \|$", PAGE, re.MULTILINE)
    assert [number for number, _ in samples] == ["1", "2", "3", "1"]
    assert not any(re.search(r"[\n\t]| {5}", sample) for _, sample in samples)


def test_template_names_are_such_as_meta_takes() -> None:
    """Two templates, two names."""
    names = re.findall(r"^\| Name \| `(.+)` \|$", PAGE, re.MULTILINE)
    assert len(set(names)) == len(BODIES)
    assert [template_fault(name) for name in names] == [None, None]
