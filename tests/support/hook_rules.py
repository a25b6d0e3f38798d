"""A plain JSON webhook, for Apprise's json:// URLs, and the place where redirected clients end up.

Owns no provider's rules: /hook takes any JSON object, and nothing at all lives elsewhere.
"""

import itertools

from tests.support.provider_rules import Judgement, Message, ProviderRequest, Reply, json_reply


class HookRules:
    """Takes what apprise/plugins/custom_json.py posts: an object with `title` and `message`."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def judge(self, request: ProviderRequest, *, fails_later: int | None = None) -> Judgement:
        """Accept a POST of a JSON object; a webhook reports nothing later."""
        if fails_later is not None:
            raise ValueError("a webhook has no later; script an error instead")
        if request.method != "POST":
            return Judgement(reply=self.error(405, None))
        payload = request.json_object()
        if payload is None:
            return Judgement(reply=self.error(400, None))
        number = str(next(self._numbers))
        title, message = str(payload.get("title") or ""), str(payload.get("message") or "")
        return Judgement(
            reply=json_reply(200, {"ok": True, "id": number}),
            message=Message(
                target=request.path,
                text=f"{title}\n{message}" if title else message,
                raw_text=request.body.decode(),
                message_id=number,
            ),
        )

    def rate_limited(self, retry_after: int | None) -> Reply:
        """429, with Retry-After if a time is given."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return json_reply(429, {"ok": False, "error": "too many requests"}, headers)

    def error(self, status: int, code: int | None) -> Reply:
        """The status and the code, nothing more."""
        return json_reply(status, {"ok": False, "code": code or status})

    def ok_false(self) -> Reply:
        """Status 200 that says no."""
        return json_reply(200, {"ok": False})


class ElsewhereRules(HookRules):
    """Answers 404 to everything, so that its desk records who came."""

    def judge(self, request: ProviderRequest, *, fails_later: int | None = None) -> Judgement:
        """Refuse."""
        return Judgement(reply=self.error(404, None))
