"""A canary that sings whenever a secret is there, in whatever form, and never otherwise."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from tests.support.canary import Canary, echo_of, forms

SECRET = 'to/ken+of "nobody":é'
CANARY = Canary({"token": SECRET})


@pytest.mark.parametrize(
    "written",
    [
        SECRET.encode(),
        f"https://api.example.com/bot{quote(SECRET)}/send".encode(),
        quote(SECRET, safe="").lower().encode(),
        quote(quote(SECRET, safe=""), safe="").encode(),
        json.dumps({"a": SECRET}).encode(),
        json.dumps(json.dumps({"a": SECRET})).encode(),
        json.dumps({"a": SECRET}).replace("/", "\\/").encode(),
        repr({"a": SECRET}).encode(),
        base64.b64encode(SECRET.encode()),
        base64.b64encode(f"user:{SECRET}".encode()),
        base64.b64encode(f"u:{SECRET}@host".encode()),
        base64.urlsafe_b64encode(f"us:{SECRET}".encode()),
        SECRET.encode().hex().upper().encode(),
        b"\0\1" + SECRET.encode("utf-16-le"),
    ],
)
def test_canary_finds_a_secret_in_every_form(written: bytes) -> None:
    (leak, *_) = CANARY.leaks({"log": b"before " + written + b" after"})
    assert (leak.secret, leak.place) == ("token", "log")
    assert SECRET not in leak.context


def test_canary_finds_nothing_where_nothing_is() -> None:
    assert CANARY.leaks({"log": b"to/ken+of somebody else", "empty": b""}) == []


def test_forms_are_told_once_each() -> None:
    looks = forms("abc0123456789")
    assert len(set(looks.values())) == len(looks)
    assert looks["plain"] == b"abc0123456789"


def test_echo_has_each_secret_in_the_forms_that_providers_write() -> None:
    echoed = echo_of([SECRET]).encode()
    assert {leak.form for leak in CANARY.leaks({"echo": echoed})} >= {"plain", "percent", "json", "base64 at 0"}
