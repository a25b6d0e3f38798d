"""No form of a secret that a library writes passes the redactor."""

from __future__ import annotations

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriber.redaction import MASK, Redactor

SECRETS = ["123456789:AA-canary_Canary", 'p@ss w/rd+"quoted"\\', "schlüssel-ключ", "+15551234567", "abcd", "<&>'🚨-x"]

WORDS = re.compile(r"\w{4,}")


def forms(secret: str) -> list[str]:
    return [
        secret,
        quote(secret),
        quote(secret, safe=""),
        re.sub("%..", lambda match: match[0].lower(), quote(secret)),
        quote(quote(secret)),
        quote_plus(secret),
        urlencode({"token": secret}),
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        json.dumps(secret).replace("/", "\\/"),
        repr(secret),
        ascii(secret),
        repr((secret, {"key": secret})),
        json.dumps({"body": json.dumps(secret)}),
        repr({"body": repr([json.dumps(secret)])}),
        html.escape(secret),
        html.escape(html.escape(secret)),
    ]


@pytest.mark.parametrize("secret", SECRETS)
def test_redact_takes_every_written_form(secret: str) -> None:
    redactor = Redactor(SECRETS)
    for form in forms(secret):
        shown = redactor.redact(f"before {form} after")
        assert MASK in shown
        assert shown.startswith("before ")
        assert shown.endswith(" after")
        assert form not in shown
        assert [part for part in WORDS.findall(secret) if part in shown] == []


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("secret", SECRETS[:4])
@pytest.mark.parametrize("before", ["", "u", "us", "user:", "AC0123:"])
@pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
def test_redact_takes_base64_in_every_alignment(encode: object, secret: str, before: str, after: str) -> None:
    """Basic authentication shows `user:password` as one base64 word."""
    assert callable(encode)
    word = encode((before + secret + after).encode()).decode()
    shown = Redactor([secret]).redact(f"Authorization: Basic {word}")
    assert MASK in shown
    # At each end at most one character stays that holds fewer than six bits of the secret.
    assert len(shown.replace(MASK, "")) <= len("Authorization: Basic ") + 4 * ((len(before) + len(after)) // 3 + 2)


def test_redact_takes_the_longest_of_overlapping_secrets() -> None:
    assert Redactor(["token", "token-and-more"]).redact("token-and-more token") == "*** ***"


def test_redact_without_secrets_changes_nothing() -> None:
    for redactor in (Redactor([]), Redactor(["", "  "])):
        assert redactor.redact("all of it") == "all of it"


#: Stands where the mask stood: no secret of the test holds it.
_GONE = "\0"


@given(
    st.text(min_size=1, max_size=30).filter(lambda text: text == text.strip() and not {"*", _GONE} & set(text)),
    st.text(max_size=20),
)
def test_redact_never_leaves_a_secret(secret: str, around: str) -> None:
    clean = around.replace(secret, "").replace(secret, "")
    shown = Redactor([secret]).redact(f"{clean} {secret} {clean}")
    assert secret not in shown.replace(MASK, _GONE)
