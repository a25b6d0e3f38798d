"""What may be set beside WhatsApp's credentials: templates, and Meta's webhook. Pure.

Each option goes with Twilio or with Meta. One that would do nothing is a fault, for whoever set it expects something:
a template of the other provider, a language without a template, half of a webhook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from subscriber.channels import credentials

_Check = Callable[[str], str | None]

_TWILIO: Final[Mapping[str, _Check]] = {"TWILIO_CONTENT_SID": credentials.content_sid_fault}
_META: Final[Mapping[str, _Check]] = {
    "WHATSAPP_TEMPLATE": credentials.template_fault,
    "WHATSAPP_TEMPLATE_LANGUAGE": credentials.language_fault,
    "WHATSAPP_APP_SECRET": credentials.app_secret_fault,
    "WHATSAPP_VERIFY_TOKEN": credentials.verify_token_fault,
}
#: Meta's webhook: one is of no use without the other.
_WEBHOOK: Final = ("WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN")
#: What says something about a template, and is of no use without one.
_ABOUT_TEMPLATES: Final = ("WHATSAPP_TEMPLATE_LANGUAGE", "WHATSAPP_TEMPLATE_PARAMETERS")
NAMES: Final = tuple(dict.fromkeys((*_TWILIO, *_META, *_ABOUT_TEMPLATES)))


def faults(given: Mapping[str, str], *, by_meta: bool) -> Iterator[tuple[str, str]]:
    """Yield each option that is malformed, does nothing, or lacks its other half, with a sentence about it.

    Args:
        given: By variable, the options that are set to anything but their default.
        by_meta: WhatsApp goes by Meta's Cloud API, else by Twilio.
    """
    ours, others = (_META, _TWILIO) if by_meta else (_TWILIO, _META)
    used, unused = ("Meta's Cloud API", "Twilio") if by_meta else ("Twilio", "Meta's Cloud API")
    own = "WHATSAPP_TEMPLATE" if by_meta else "TWILIO_CONTENT_SID"
    for name in NAMES:
        partner = _WEBHOOK[1 - _WEBHOOK.index(name)] if name in _WEBHOOK and by_meta else ""
        if name in given:
            if name in others:
                yield name, f"is for {unused}, and whatsapp goes by {used}; unset it ({own} names a template there)"
            elif name in ours and (fault := ours[name](given[name])) is not None:
                yield name, fault
            elif name in _ABOUT_TEMPLATES and own not in given:
                yield name, f"is set, but no template; set {own}, or unset it"
        elif partner in given:
            yield name, f"is missing; it goes with {partner}: set it, or unset that"
