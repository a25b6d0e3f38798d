"""Telegram's three markup modes over real HTTP: what they show, and what they refuse."""

import pytest
import requests

from tests.support.provider_server import TELEGRAM_CHAT, TELEGRAM_TOKEN, ProviderServer


def send(server: ProviderServer, markup: str, parse_mode: str) -> str | None:
    """Send marked-up text and return why it cannot be parsed, or None when it is accepted."""
    answer = requests.post(
        f"{server.url}/bot{TELEGRAM_TOKEN}/sendMessage",
        json={"chat_id": TELEGRAM_CHAT, "text": markup, "parse_mode": parse_mode},
        timeout=60,
    )
    if answer.ok:
        return None
    assert answer.status_code == 400
    before, complaint, flaw = answer.json()["description"].partition("Bad Request: can't parse entities: ")
    assert (before, bool(complaint)) == ("", True)
    return str(flaw)


HTML_SHOWN = {
    "PnL &lt; -5%": "PnL < -5%",
    "R&D &amp &quot;x&quot; &#60;&#x3E; &nbsp;": 'R&D & "x" <> &nbsp;',
    "<b>a</b><strong>b</strong><i>c</i><em>d</em><u>e</u><ins>f</ins>": "abcdef",
    "<s>a</s><strike>b</strike><del>c</del><tg-spoiler>d</tg-spoiler>": "abcd",
    '<span class="tg-spoiler">a</span>': "a",
    "<span class='tg-spoiler'>a</span><span class=tg-spoiler>b</span>": "ab",
    '<a href="https://x.test/?a=1&amp;b=2">link</a>': "link",
    '<pre><code class="language-python">x = 1</code></pre>': "x = 1",
    "<blockquote expandable>quoted</blockquote>": "quoted",
    "<B>nested <i>tags</i></B>": "nested tags",
    "<b >blank</b >": "blank",
    "<b>short</>": "short",
    "3 > 2": "3 > 2",
    "&#0; &#1114112; &#x0000000041;": "&#0; &#1114112; &#x0000000041;",
}
HTML_REFUSED = {
    "PnL < -5%": 'Unsupported start tag "" at byte offset 4',
    "€ < 1": 'Unsupported start tag "" at byte offset 4',
    "PnL<-5%": "Unclosed start tag at byte offset 3",
    "a<br>b": 'Unsupported start tag "br" at byte offset 1',
    "<h1>x</h1>": 'Unsupported start tag "h1" at byte offset 0',
    "<b>x": 'Can\'t find end tag corresponding to start tag "b"',
    "x</b>": "Unexpected end tag at byte offset 1",
    "<b>x</i>": 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"',
    "<b><i>x</b></i>": 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"',
    "<b>x</b": "Unclosed end tag at byte offset 4",
    "<span>x</span>": 'Tag "span" must have class "tg-spoiler" at byte offset 0',
    '<span class="red">x</span>': 'Tag "span" must have class "tg-spoiler" at byte offset 0',
    '<a "x">y</a>': 'Empty attribute name in the tag "a" at byte offset 0',
    '<a href="x"': 'Unclosed start tag "a" at byte offset 0',
    "<tg-emoji>x</tg-emoji>": 'Unsupported start tag "tg-emoji" at byte offset 0',
    "&#xD83D;": "Text contains invalid Unicode characters after decoding HTML entities, "
    "check for unmatched surrogate code units",
}


@pytest.mark.parametrize("markup", HTML_SHOWN)
def test_html_that_telegram_knows_is_shown_without_markup(server: ProviderServer, markup: str) -> None:
    assert send(server, markup, "HTML") is None
    (message,) = server.telegram.accepted
    assert (message.text, message.raw_text) == (HTML_SHOWN[markup], markup)
    assert message.parse_mode == "HTML"


@pytest.mark.parametrize("markup", HTML_REFUSED)
def test_html_that_telegram_does_not_know_is_refused(server: ProviderServer, markup: str) -> None:
    assert send(server, markup, "HTML") == HTML_REFUSED[markup]


MARKDOWN_V2_SHOWN = {
    r"\-3\.2% on BTC\_USDT\!": "-3.2% on BTC_USDT!",
    "*bold* _italic_ __under__ ~struck~ ||hidden||": "bold italic under struck hidden",
    "`a.b-c`": "a.b-c",
    "```python\nx = {1}\n```": "x = {1}",
    "```\nplain```": "plain",
    "[label](https://x.test/a\\)b)": "label",
    "[label]": "label",
    "![😀](tg://emoji?id=5368324170671202286)": "😀",
    ">quoted\n>still\nafter": "quoted\nstill\nafter",
    ">expandable||\nafter": "expandable\nafter",
    ">to the end||": "to the end",
    ">last": "last",
    "_italic __both___": "italic both",
    "\\\\": "\\",
    "two\nlines": "two\nlines",
}
MARKDOWN_V2_REFUSED = {
    "-3": "Character '-' is reserved and must be escaped with the preceding '\\'",
    "3.2": "Character '.' is reserved and must be escaped with the preceding '\\'",
    "up!": "Character '!' is reserved and must be escaped with the preceding '\\'",
    "a > b": "Character '>' is reserved and must be escaped with the preceding '\\'",
    "a | b": "Character '|' is reserved and must be escaped with the preceding '\\'",
    "(x)": "Character '(' is reserved and must be escaped with the preceding '\\'",
    "x)": "Character ')' is reserved and must be escaped with the preceding '\\'",
    "x]": "Character ']' is reserved and must be escaped with the preceding '\\'",
    "# x": "Character '#' is reserved and must be escaped with the preceding '\\'",
    "+1": "Character '+' is reserved and must be escaped with the preceding '\\'",
    "a=b": "Character '=' is reserved and must be escaped with the preceding '\\'",
    "{x": "Character '{' is reserved and must be escaped with the preceding '\\'",
    "x}": "Character '}' is reserved and must be escaped with the preceding '\\'",
    "BTC_USDT": "Can't find end of Italic entity at byte offset 3",
    "€ *x": "Can't find end of Bold entity at byte offset 4",
    "~x": "Can't find end of Strikethrough entity at byte offset 0",
    "`x": "Can't find end of Code entity at byte offset 0",
    "```x": "Can't find end of Pre entity at byte offset 0",
    "[x": "Can't find end of TextUrl entity at byte offset 0",
    "[x](y": "Can't find end of a URL at byte offset 4",
    "![x](https://x.test)": "Invalid tg://emoji or tg://time URL specified",
    ">*x\ny": "Can't find end of Bold entity at byte offset 1",
    ">*x": "Can't find end of Bold entity at byte offset 1",
}


@pytest.mark.parametrize("markup", MARKDOWN_V2_SHOWN)
def test_markdown_v2_with_everything_escaped_is_shown(server: ProviderServer, markup: str) -> None:
    assert send(server, markup, "MarkdownV2") is None
    assert server.telegram.accepted[0].text == MARKDOWN_V2_SHOWN[markup]


@pytest.mark.parametrize("markup", MARKDOWN_V2_REFUSED)
def test_markdown_v2_with_a_bare_reserved_character_is_refused(server: ProviderServer, markup: str) -> None:
    assert send(server, markup, "MarkdownV2") == MARKDOWN_V2_REFUSED[markup]


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("*bold* _it_ `code` -3.2!", "bold it code -3.2!"),
        (r"BTC\_USDT", "BTC_USDT"),
        ("[label](https://x.test) [bare]", "label bare"),
        ("[label](open", "label"),
        ("```\r\nx\n```", "x"),
    ],
)
def test_legacy_markdown_is_shown_without_markup(server: ProviderServer, markup: str, shown: str) -> None:
    assert send(server, markup, "Markdown") is None
    assert server.telegram.accepted[0].text == shown


def test_legacy_markdown_with_endless_entity_is_refused(server: ProviderServer) -> None:
    expected = "Can't find end of the entity starting at byte offset 3"
    assert send(server, "BTC_USDT", "Markdown") == expected
