"""What Twilio's codes mean, in answers and in receipts alike. Pure.

Each code has a page at twilio.com/docs/api/errors; twilio.com/docs/whatsapp/api/error-code-mapping says what of
WhatsApp's own stands behind those from 63001 on. The words are also for a person, where Twilio gives none: a message
that fails on WhatsApp has a code and an empty text (hackclub/attend#84).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from subscriber.channels.verdicts import Row
from subscriber.deliveries import Reason

#: A text outside of the 24-hour window.
OUTSIDE_WINDOW: Final = 63016
#: No such account, or no such message.
NOT_FOUND: Final = 20404

#: The template is at fault and not what it says: the same as text may pass.
BAD_TEMPLATE: Final = frozenset({21655, 21656, 63013, 63021, 63027, 63028})

#: By code. What is not in it: in a receipt and under 2xx it refuses the message, elsewhere the status decides.
TABLE: Final[Mapping[int, Row]] = {
    code: Row(reason, words, f"twilio.com/docs/api/errors/{code}")
    for code, reason, words in (
        (14107, Reason.RATE_LIMITED, "message rate limit exceeded"),
        (20003, Reason.UNAUTHORIZED, "account SID or auth token is wrong"),
        (20005, Reason.UNAUTHORIZED, "the account is not active"),
        (NOT_FOUND, Reason.UNAUTHORIZED, "there is no such account"),
        (20429, Reason.RATE_LIMITED, "too many requests; it was not processed"),
        (20500, Reason.UNAVAILABLE, "internal server error; a repetition may send it twice"),
        (20503, Reason.UNAVAILABLE, "service unavailable"),
        (21211, Reason.UNAUTHORIZED, "the recipient is no valid phone number"),
        (21212, Reason.UNAUTHORIZED, "the sender is no valid phone number"),
        (21408, Reason.UNAUTHORIZED, "no permission to send to this region"),
        (21602, Reason.REJECTED, "the message has no body"),
        (21606, Reason.UNAUTHORIZED, "the sender is no number of this account"),
        (21608, Reason.UNAUTHORIZED, "a trial account, and the recipient is not verified"),
        (21610, Reason.UNAUTHORIZED, "the recipient has opted out"),
        (21611, Reason.RATE_LIMITED, "the sender's queue is full"),
        (21614, Reason.UNAUTHORIZED, "the recipient is no mobile number"),
        (21617, Reason.REJECTED, "longer than 1600 characters"),
        (21655, Reason.REJECTED, "there is no template with this content SID"),
        (21656, Reason.REJECTED, "the template's variables are refused"),
        (21658, Reason.REJECTED, "a variable is longer than 1600 characters"),
        (21659, Reason.UNAUTHORIZED, "the sender is no number of this account"),
        (21910, Reason.UNAUTHORIZED, "sender and recipient are of different channels"),
        (30001, Reason.RATE_LIMITED, "the queue overflowed"),
        (30002, Reason.UNAUTHORIZED, "the account is suspended"),
        (63001, Reason.UNAUTHORIZED, "WhatsApp refuses the sender's credentials"),
        (63003, Reason.UNAUTHORIZED, "WhatsApp does not know the recipient"),
        (63005, Reason.REJECTED, "WhatsApp refuses the content"),
        (63007, Reason.UNAUTHORIZED, "the sender is no WhatsApp sender of this account"),
        (63008, Reason.UNAUTHORIZED, "the sender's WhatsApp configuration is incomplete"),
        (63010, Reason.UNAVAILABLE, "an internal error of Twilio's"),
        (63012, Reason.UNAVAILABLE, "an internal error of WhatsApp's"),
        (63013, Reason.REJECTED, "WhatsApp refuses it for its policy"),
        (63014, Reason.UNAUTHORIZED, "the recipient has blocked the sender"),
        (63015, Reason.UNAUTHORIZED, "the recipient has not joined the sandbox, or the join has ended"),
        (OUTSIDE_WINDOW, Reason.REJECTED, "outside of the 24-hour window"),
        (63017, Reason.RATE_LIMITED, "too fast for WhatsApp"),
        (63018, Reason.RATE_LIMITED, "too fast for WhatsApp, or too often to the same recipient"),
        (63020, Reason.UNAUTHORIZED, "the business account at Meta has a problem, such as an unpaid bill"),
        (63021, Reason.REJECTED, "WhatsApp refuses the content, such as more than 1024 characters in a template"),
        (63023, Reason.UNAVAILABLE, "a failure that WhatsApp gives no reason for"),
        (63024, Reason.UNAUTHORIZED, "WhatsApp refuses the recipient"),
        (63027, Reason.REJECTED, "WhatsApp has no such template in this language"),
        (63028, Reason.REJECTED, "the template has another number of variables"),
        (63029, Reason.REJECTED, "the recipient's phone could not put the template together"),
        (63032, Reason.REJECTED, "WhatsApp does not let us write to this person"),
        (63038, Reason.RATE_LIMITED, "the account has sent all that it may send in a day"),
        (63049, Reason.REJECTED, "Meta chose not to deliver it"),
    )
}


def words_for(code: int | None) -> str:
    """Return what to tell a person where Twilio says nothing."""
    row = None if code is None else TABLE.get(code)
    return "" if row is None else row.meaning
