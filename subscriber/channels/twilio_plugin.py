"""Apprise's plugin for Twilio, with what WhatsApp needs and it does not know: approved templates and status callbacks.

Its `send` is Apprise's own: it builds the request, and we add to its form as it passes the seam. Twilio takes either
Body, or ContentSid and ContentVariables (twilio.com/docs/content/send-templates-created-with-the-content-template-
builder); since April 2025 a template's text in Body fails (twilio.com/docs/api/errors/63016).

Apprise finds it by its URL once `register` was called, so that a channel of one's own can use it:
`alertbustwilio://AC…:token@w%3A+14155238886/w%3A+15551234567?contentsid=HX…` puts the whole text into the template's
one variable.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any, Final

from apprise import apprise
from apprise.plugins import twilio

from subscriber.channels.requests_seam import amended
from subscriber.channels.window import PARAMETERS_LENGTH

SCHEMA: Final = "alertbustwilio"
#: Error 21617; Apprise's own 160 are those of an SMS.
LONGEST_BODY: Final = 1600
#: Between what were lines: WhatsApp refuses a variable with a line break.
_LINE_BREAK: Final = " · "
#: Apprise has types for a part of this class only.
_NotifyTwilio: Any = twilio.NotifyTwilio


class NotifyTwilioContent(_NotifyTwilio):  # type: ignore[misc]  # see _NotifyTwilio
    """WhatsApp by Twilio: text, or with a content SID an approved template."""

    service_name = "Twilio WhatsApp with templates"
    secure_protocol = SCHEMA
    template_args = dict(  # noqa: RUF012 - Apprise reads it from the class
        _NotifyTwilio.template_args,
        contentsid={
            "name": "Content SID",
            "type": "string",
            "regex": (r"^HX[a-f0-9]{32}$", "i"),
            "map_to": "content_sid",
        },
    )

    def __init__(self, *arguments: Any, content_sid: str | None = None, **options: Any) -> None:
        """Take what Apprise's plugin takes, and the approved template's content SID."""
        super().__init__(*arguments, **options)
        self.content_sid = content_sid

    def send(
        self,
        body: str,
        *arguments: Any,
        parameters: tuple[str, ...] = (),
        status_callback: str | None = None,
        **options: Any,
    ) -> bool:
        """Send by Apprise's own code.

        Args:
            body: The text, which goes without a content SID.
            arguments: As Apprise's plugin takes them.
            parameters: The template's, in order; the text in one line if there are none.
            status_callback: Where Twilio tells what becomes of the message.
            options: As Apprise's plugin takes them.
        """
        fields: dict[str, str] = {}
        if self.content_sid is not None:
            texts = parameters or (_LINE_BREAK.join(filter(None, map(str.strip, body.splitlines()))),)
            variables = {str(number): text for number, text in enumerate(texts, start=1)}
            fields = {"ContentSid": self.content_sid, "ContentVariables": json.dumps(variables, ensure_ascii=False)}
        if status_callback is not None:
            fields["StatusCallback"] = status_callback
        with amended(lambda form: _with_fields(form, fields)):
            return bool(super().send(body, *arguments, **options))

    @property
    def body_maxlen(self) -> int:
        """The most characters of a text, or of a template's variable."""
        return LONGEST_BODY if self.content_sid is None else PARAMETERS_LENGTH

    def url_parameters(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Return what Apprise's plugin writes behind the `?` of its URL, and the content SID."""
        written = dict(super().url_parameters(*arguments, **options))
        return written if self.content_sid is None else {**written, "contentsid": self.content_sid}

    @staticmethod
    def parse_url(url: str) -> dict[str, Any] | None:
        """Read what Apprise's plugin reads, and the content SID."""
        results: dict[str, Any] | None = _NotifyTwilio.parse_url(url)
        if results and results["qsd"].get("contentsid"):
            results["content_sid"] = _NotifyTwilio.unquote(results["qsd"]["contentsid"])
        return results


def register() -> None:
    """Make Apprise know the plugin by its URL; calling it again, or after a new import, puts the latest in its place.

    It makes Apprise load all of its plugins, which takes most of a second.
    """
    with warnings.catch_warnings():
        # The one for e-mail imports imghdr, which Python 3.13 removes.
        warnings.simplefilter("ignore", DeprecationWarning)
        manager: Any = apprise.N_MGR
        manager.add(NotifyTwilioContent, force=True)


def _with_fields(form: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, str]:
    # A release that sends anything but a form with these fields fails here, and that when a channel is built.
    if not {"From", "To", "Body"} <= set(form):
        raise TypeError("Apprise's plugin for Twilio sends another form than one with From, To and Body")
    return {name: value for name, value in form.items() if name != "Body" or "ContentSid" not in fields} | dict(fields)
