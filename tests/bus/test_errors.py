"""Errors: the tree that says who handles them, and texts that a person can act on."""

from __future__ import annotations

import pytest

from bus.errors import AlertBusError, ConfigurationError, UndecodableFrames, UnsupportedVersion, WireError
from bus.wire import Header


@pytest.mark.parametrize(
    ("error", "parent"),
    [
        (ConfigurationError, AlertBusError),
        (WireError, AlertBusError),
        (UndecodableFrames, WireError),
        (UnsupportedVersion, WireError),
    ],
)
def test_error_kind_tells_who_handles_it(error: type[Exception], parent: type[Exception]) -> None:
    assert issubclass(error, parent)


def test_configuration_error_with_several_problems_tells_each_on_a_line() -> None:
    error = ConfigurationError("A: set it", "B: remove it")
    assert str(error) == "A: set it\nB: remove it"
    assert error.problems == ("A: set it", "B: remove it")


def test_configuration_error_without_problem_says_its_sentence() -> None:
    assert str(ConfigurationError()) == "The configuration has to be changed before this can start."


def test_undecodable_frames_text_has_reason_and_sizes_only() -> None:
    error = UndecodableFrames("body", (22, 31, 4))
    assert str(error) == (
        "A message from the bus could not be read; it was counted and skipped. "
        "Reason: body. Frame sizes in bytes: (22, 31, 4)."
    )


def test_undecodable_frames_keeps_what_a_program_needs() -> None:
    header = Header(b"s" * 16, 7, 1)
    error = UndecodableFrames("body", (22, 31, 4), header)
    assert (error.reason, error.frame_sizes, error.header) == ("body", (22, 31, 4), header)


def test_unsupported_version_names_both_versions() -> None:
    error = UnsupportedVersion(9, 1)
    assert (error.version, error.supported) == (9, 1)
    assert str(error).endswith("It has version 9; this program speaks 1.")
