"""Does what a scenario's inputs say to its daemons and providers, by the ways that a person or a program has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from subscriber.policy_desk import PolicyDesk
from subscriber.serving import dead_letter_desk
from tests.support import provider_faults
from tests.support.provider_desk import ProviderDesk
from tests.support.provider_rules import Judgement, ProviderRequest, ProviderRules
from tests.support.scenario import (
    Acknowledge,
    AddSilence,
    Behave,
    EndSilence,
    Input,
    Press,
    Publish,
    Reload,
    Restart,
    Retry,
    SetClock,
    Switch,
    Write,
)
from tests.support.telegram_rules import TELEGRAM_CHAT, TelegramRules

if TYPE_CHECKING:
    from tests.support.scenario_run import Stage

#: Who does it.
PERSON: Final = "Ada"


class PickyTelegram(TelegramRules):
    """Telegram that refuses messages with a certain word for good, as it does with what it can't show."""

    refused_word: str | None = None

    def judge(self, request: ProviderRequest, *, fails_later: int | None = None) -> Judgement:
        """Refuse, or decide as ever."""
        text = str((request.json_object() or {}).get("text", ""))
        if self.refused_word is not None and self.refused_word in text:
            return Judgement(reply=self.error(400, None))
        return super().judge(request, fails_later=fails_later)


class Actor:
    """Whoever does something in a scenario."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._silences: dict[str, int] = {}
        self._ways: Mapping[type[Input], Callable[[Any], None]] = {
            AddSilence: self._silence,
            EndSilence: self._end_silence,
            Switch: self._switch,
            Retry: self._retry,
            Acknowledge: self._acknowledge,
            Press: self._press,
            Write: self._write,
            Reload: self._reload,
            Restart: lambda each: stage.restart(killed=each.killed),
            SetClock: lambda each: stage.clock.step(each.seconds),
            Behave: self._behave,
        }

    @property
    def _policy(self) -> PolicyDesk:
        return self._stage.daemons[0].policy

    def act(self, due: Sequence[tuple[Input, int]]) -> None:
        """Do what is due at one time: alerts in a row come as one batch, the rest one by one."""
        alerts: list[tuple[Publish, int]] = []
        for each, place in due:
            if isinstance(each, Publish):
                alerts.append((each, place))
                continue
            self._publish(alerts)
            self._ways[type(each)](each)
        self._publish(alerts)

    def _publish(self, alerts: list[tuple[Publish, int]]) -> None:
        if alerts:
            self._stage.publish(alerts)
            alerts.clear()

    def _end_silence(self, each: EndSilence) -> None:
        assert self._policy.end_silence(self._silences[each.name], PERSON, "api") is not None

    def _switch(self, each: Switch) -> None:
        for channel in each.channels:
            self._stage.daemons[0].parts.switchboard.switch(channel, each.enabled, PERSON, "api")

    def _retry(self, _each: Retry) -> None:
        dead_letter_desk(self._stage.daemons[0].parts).retry_all(None, PERSON, "api")

    def _acknowledge(self, each: Acknowledge) -> None:
        assert self._policy.acknowledge(self._stage.alert_ids[each.text], PERSON, "api") is not None

    def _reload(self, each: Reload) -> None:
        self._stage.write(each.toml)
        for daemon in self._stage.daemons:
            result = daemon.reload()
            assert result.loaded is not each.refused, result

    def _silence(self, each: AddSilence) -> None:
        request: Mapping[str, object] = {
            "match": each.match,
            "seconds": each.seconds,
            "author": PERSON,
            "reason": f"silence {each.name}",
            "drops": each.drops,
            "lets_critical": each.lets_critical,
        }
        silence = self._policy.add_silence(request, "api")
        self._silences[each.name] = silence.id

    def _press(self, each: Press) -> None:
        """Press the button below the newest message with that text."""
        desk = self._stage.server.telegram
        message = next(message for message in reversed(desk.accepted) if each.text in message.text)
        inbox = desk.rules.inbox
        query_id = inbox.press(each.label, message_id=int(message.message_id), chat=message.target)
        self._stage.daemons[0].hear()
        assert [answer.query_id for answer in inbox.answers][-1:] == [query_id]

    def _write(self, each: Write) -> None:
        self._stage.server.telegram.rules.inbox.write(TELEGRAM_CHAT, each.text)
        self._stage.daemons[0].hear()

    def _behave(self, each: Behave) -> None:
        desk: ProviderDesk[ProviderRules] = getattr(self._stage.server, each.provider)
        how, _, argument = each.how.partition(" ")
        match how:
            case "well":
                desk.behave()
                self._stage.telegram.refused_word = None
                return
            case "refuses" if argument:
                self._stage.telegram.refused_word = argument
                return
            case "down":
                fault = provider_faults.error(503)
            case "refuses":
                fault = provider_faults.error(400)
            case "limits":
                fault = provider_faults.rate_limited(int(argument))
            case "drops":
                fault = provider_faults.accept_then_drop()
            case _:
                raise AssertionError(f"no provider behaves like {each.how!r}")
        if each.most is None:
            desk.always(fault)
        else:
            desk.script(*[fault] * each.most)
