"""The day that is lived: quiet, well, and then every trouble; what is driven is noted where it is done."""

from __future__ import annotations

import http.client
import time
from typing import Final

from tests.dashboards.live.author import TAKEN_SECONDS, Author
from tests.dashboards.live.looking import count_log, look_around
from tests.dashboards.live.raw_publisher import RawPublisher
from tests.dashboards.live.town import Town
from tests.support.daemon import PREFIX
from tests.support.provider_faults import error, for_posts, hang, rate_limited, reset_after_reading
from tests.support.provider_server import TELEGRAM_BLOCKED_CHAT, TELEGRAM_CHAT, TWILIO_RECIPIENT

#: Seconds that the stand-in of Telegram takes for each answer.
ANSWER_SECONDS: Final = 0.3
#: Figures of a publisher in trouble, as its heartbeats tell them.
JOURNAL_ALERTS: Final = 4321
REFUSED_ALERTS: Final = 7
TIMED_PUBLISHES: Final = 500
PUBLISH_NS: Final = 2_000_000
LONGEST_NS: Final = 90_000
CLOCK_AHEAD_SECONDS: Final = 90.0

#: What Twilio answers for a message that it refuses for good, and tells of one that failed after it took it.
_REFUSED_FOR_GOOD: Final = 63013
_UNDELIVERABLE: Final = 63049
_TEXTS: Final = 4
_FAILED_TEXTS: Final = 3
_BAD_TEXTS: Final = 1
_STALE: Final = 32
_LATE: Final = 3
_STORM: Final = 24
_LATE_SECONDS: Final = 90.0
_HOUR_SECONDS: Final = 3600.0
#: Two, at 5 s each, would be as long as the scaled alarm takes, on a machine that is a little late.
_BAD_PINGS: Final = 1
#: Answers that the daemon gave between the last scrape and its death, which nobody counts.
_UNCOUNTED: Final = 5
_CHANNELS: Final = ("desk", "telegram", "whatsapp", "ops")


class Day(Author):
    """The script, and who plays in it."""

    def __init__(self, town: Town) -> None:
        """Nothing happens yet."""
        super().__init__(town)
        self._texts_sent = 0

    def live(self) -> None:
        """Live the whole day; at its end nothing waits and nothing moves."""
        self.town.providers.telegram.always(for_posts(hang(ANSWER_SECONDS)))
        self.town.providers.twilio.rules.course = ()  # it tells nothing of a message before it is to
        count_log(self.town, -1)  # what was logged before anybody looked
        self.town.moment("quiet")
        self.town.pinged.answers.extend([500] * _BAD_PINGS)
        self._people_write()
        self.town.chores.append(self._next_text)
        self._backlog()
        self._well()
        self._pause()
        self._publishers_in_trouble()
        self._silences()
        self._storm()
        self._invalid()
        self._strangers()
        self._resume()
        self._texts()
        self._outage()
        self._switched_off()
        self._evening()

    # --- morning --------------------------------------------------------------------------------------------

    def _backlog(self) -> None:
        """A publisher comes that had no daemon for long: some of it is too old for its route, some is late."""
        stale = self.untold(*(self.risk("STALE") for _ in range(_STALE)))
        late = [self.risk("CALL_LATE", "CRITICAL") for _ in range(_LATE)] + [self.risk("LATE") for _ in range(_LATE)]
        backlog = self.town.raw_publisher("backlog", b"stream-backlog-1")
        for number, alert in enumerate([*stale, *late], 1):
            at = time.time() - (_HOUR_SECONDS if number <= _STALE else _LATE_SECONDS)
            self.ledger.publish(alert, at)
            backlog.offer(number, alert, at)
        self.ledger.counts["gaps"] += 1
        self.ledger.counts["replayed"] += len(backlog.alerts)
        self.ledger.states["desk", "expired"] += _STALE
        self.town.beating.append(backlog)
        self.town.until(lambda: backlog.acknowledged >= len(backlog.alerts))
        self.town.beating.remove(backlog)
        self.ledger.counts["duplicate"] += sum(backlog.sent.values()) - len(backlog.sent)
        backlog.say_goodbye()
        self.ledger.levels["paused", "backlog"] = time.time()
        self.ledger.levels["troubles", "backlog_left"] = time.time()

    def _people_write(self) -> None:
        """A person writes to WhatsApp's sender, which opens its window, and asks Telegram's bot for the status."""
        twilio = self.town.providers.twilio.rules
        twilio.inbound_url = f"{self.town.daemon.url}/webhooks/twilio"
        answer = twilio.receive(TWILIO_RECIPIENT)
        assert answer is not None
        assert answer.status == 200, answer
        self.ledger.webhooks["twilio", "ok"] += 1
        self.town.providers.telegram.rules.inbox.write(TELEGRAM_CHAT, "/status")
        self.ledger.counts["bot_asked"] += 1

    def _well(self) -> None:
        """Some of everything gets through, or is kept in the history only."""
        known = self.risk("CALL", "CRITICAL")
        self.publish(self.risk("CALL"), known, self.trade("BUY", 10), self.trade("SELL", 5))
        self.publish(*self.untold(self.trade("HOLD", 0), self.risk("CHECKED", "INFO"), self.risk("CHECKED", "INFO")))
        self.ledger.counts["not_routed"] += 3
        self.publish(self.risk("TWICE"))
        self.publish(*self.untold(*(self.risk("TWICE") for _ in range(3))), self.risk("TWICE"))  # the newest is told
        self.ledger.suppressed["desk", "dedup"] += 3
        self.publish(self.risk("FRAIL", value=1.0, threshold=0.0), self.risk("WAKE", "CRITICAL"))
        self.ledger.counts["template_failures"] += 1
        self.ledger.counts["escalations"] += 1
        self.town.daemon.post(f"/alerts/{known.id}/ack", {"author": "Kim", "note": "seen", "via": "api"})
        self.ledger.counts["acknowledged"] += 1
        self.settled("desk", "telegram", "ops")

    def _pause(self) -> None:
        """Telegram fails in three ways, and then the chat blocks the bot: the channel waits for a person."""
        telegram = self.town.providers.telegram
        telegram.script(for_posts(error(503)), for_posts(rate_limited(1)), for_posts(reset_after_reading()))
        self.publish(self.risk("CALL"))
        self.ledger.states["telegram", "in_doubt"] += 1
        self.settled("telegram")
        telegram.rules.chats[TELEGRAM_CHAT] = telegram.rules.chats[TELEGRAM_BLOCKED_CHAT]
        self._held_up = [self.risk("CALL") for _ in range(3)]
        self.publish(*self._held_up)
        self.town.asked_until(lambda: ("telegram", 403) in self._answers())
        self._listener = http.client.HTTPConnection("127.0.0.1", int(self.town.environ["ALERTBUS_HTTP_PORT"]))
        self._listener.request("GET", f"{PREFIX}/events")
        self._listener.getresponse()
        self.town.moment("paused")
        self.ledger.levels["paused", "unacknowledged"] = (
            _LATE + 2
        )  # those of the backlog, WAKE, and that of the channel

    def _answers(self) -> set[tuple[str, int | None]]:
        return {("telegram", request.status) for request in self.town.providers.telegram.requests}

    def _next_text(self) -> None:
        """Send WhatsApp's next text once the one before is answered: its pace is slow, and two would be told together.

        The first are taken, and the rest are refused for good.
        """
        twilio = self.town.providers.twilio
        answered = sum(1 for request in twilio.requests if request.request.method == "POST" and request.status)
        if answered < self._texts_sent or self._texts_sent == _TEXTS + _BAD_TEXTS:
            return
        self._texts_sent += 1
        text = self.risk("TEXT")
        if self._texts_sent > _TEXTS:
            twilio.script(for_posts(error(400, code=_REFUSED_FOR_GOOD)))
            self.untold(text)
        self.ledger.publish(text, time.time())
        assert self.town.trader.publish(text)

    def _texts(self) -> None:
        """WhatsApp has taken some and refused some; of what it took, some fail later."""
        self.town.until(lambda: self._texts_sent == _TEXTS + _BAD_TEXTS)
        self.settled("whatsapp")
        self.town.chores.remove(self._next_text)
        twilio = self.town.providers.twilio
        self.town.moment("awaited")
        for number, message in enumerate(twilio.accepted):
            failed = number < _FAILED_TEXTS
            state = "failed" if failed else "delivered"
            answer = twilio.rules.report(message.message_id, state, code=_UNDELIVERABLE if failed else None)
            assert answer is not None
            assert answer.status < 300, answer
            self.ledger.receipts["whatsapp", state] += 1
            self.ledger.levels["awaited", "receipt_seconds"] = time.monotonic() - message.at  # of the one delivered
            self.ledger.webhooks["twilio", "ok"] += 1
        self.ledger.states["whatsapp", "dead"] += _BAD_TEXTS + _FAILED_TEXTS
        self.ledger.states["whatsapp", "delivered"] += _TEXTS - _FAILED_TEXTS

    # --- publishers -----------------------------------------------------------------------------------------

    def _publishers_in_trouble(self) -> None:
        """A hole that is filled, one that nobody fills, figures that are no good, a death, and a loop that hangs."""
        ill = self.town.raw_publisher("ill", b"stream-of-the-il")
        ahead = self.town.raw_publisher("ahead", b"stream-of-ahead1")
        gappy = self.town.raw_publisher("gappy", b"stream-of-gappy1")
        ill.says = {"run": b"run-of-the-ill-1", "timed_publishes": 0, "publish_ns": 0, "publish_longest_ns": 0}
        ill.says |= {"journal_alerts": JOURNAL_ALERTS}
        ahead.clock_ahead_seconds = CLOCK_AHEAD_SECONDS
        self.town.beating += [ill, ahead, gappy]
        night = self.town.trading_process("night_trader")
        looper = self.town.publisher("looper")
        with looper:
            self._heard("ill", "ahead", "gappy", "night_trader", "looper")
            gappy.answers = False
            for number in (1, 2, 3, 4):
                alert = self.risk("HOLE")
                self.ledger.publish(alert, time.time())
                gappy.offer(number, alert, time.time())
            gappy.publish(1, 2, 4)
            self.ledger.counts["gaps"] += 1
            ill.says |= {"volatile": True, "refused": REFUSED_ALERTS}
            ill.says |= {"timed_publishes": TIMED_PUBLISHES, "publish_ns": PUBLISH_NS, "publish_longest_ns": LONGEST_NS}
            looper.progress(1.0)
            night.kill()
            self.ledger.levels["troubles", "silent_since"] = time.time()
            self.town.asked_until(lambda: self._shows("alertbus_publisher_silent", "night_trader"))
            self.town.asked_until(lambda: self._shows("alertbus_publisher_hung", "looper"))
            self.town.moment("troubles")
            gappy.answers = True
            self.ledger.counts["replayed"] += 1
            self.town.until(lambda: gappy.acknowledged == 4)
            self._lose(gappy)
            for alert_name in ("Silent", "Hung", "Volatile", "Refusing"):
                self.town.fires(f"AlertbusPublisher{alert_name}")
            looper.progress(600.0)
        night.wait(TAKEN_SECONDS)
        self._night = self.town.trading_process("night_trader")

    def _lose(self, gappy: RawPublisher) -> None:
        """Numbers 5 and 6 are gone from the journal: nobody holds them."""
        gappy.first_held = 7
        alert = self.risk("HOLE")
        self.ledger.publish(alert, time.time())
        gappy.offer(7, alert, time.time())
        gappy.publish(7)
        self.ledger.counts["gaps"] += 1
        self.ledger.counts["lost"] += 2
        self.town.until(lambda: gappy.acknowledged == 7)
        gappy.publish(7)

    def _heard(self, *sources: str) -> None:
        self.town.asked_until(lambda: all(self._shows("alertbus_publisher_up", source) for source in sources))
        self.town.moment("heard")

    def _shows(self, metric: str, source: str) -> bool:
        return self.town.daemon.metric(metric, source=source) == 1

    # --- people ---------------------------------------------------------------------------------------------

    def _silences(self) -> None:
        """A silence that drops what falls in it, and one that holds it back."""
        drops = {"match": {"symbol": "HUSH"}, "seconds": 600, "author": "Kim", "reason": "known", "drops": True}
        holds = {"match": {"symbol": "HELD"}, "seconds": 600, "author": "Kim", "reason": "known"}
        self.town.daemon.post("/silences", drops)
        held = self.town.daemon.post("/silences", holds)
        self.publish(*self.untold(*(self.risk("NOISE", symbol="HUSH") for _ in range(3))))
        self.ledger.suppressed["desk", "silence"] += 3
        self.publish(*(self.risk("NOISE", symbol="HELD") for _ in range(2)))
        self.town.moment("silenced")
        answer = self.town.daemon.http.delete(f"{PREFIX}/silences/{held['id']}")
        assert answer.status_code == 200, answer.text
        self.settled("desk")

    def _storm(self) -> None:
        """More warnings at once than the desk's pace lets through."""
        self.publish(*(self.risk("STORM", symbol=f"S{number}") for number in range(_STORM)))
        self.settled("desk")

    # --- what is no good ------------------------------------------------------------------------------------

    def _invalid(self) -> None:
        """Frames that nobody can read, and a configuration with a fault."""
        broken = self.town.raw_publisher("broken", b"stream-of-broken")
        for frames, reason in (([b"one"], "frame_count"), ([b"severity.INFO.", b"no header", b"{}"], "header")):
            broken.send_data(frames)
            self.ledger.invalid[reason] += 1
        broken.send_control([b"no message"])
        self.ledger.invalid["control"] += 1
        self.town.config.write_text("routes = 3", encoding="utf-8")
        self.town.asked_until(lambda: self.town.daemon.get("/routes")["source"]["refused"])
        self.ledger.counts["reloads_refused"] += 1
        self.town.moment("refused")
        self.town.fires("AlertbusConfigRefused")
        self.town.config.write_text(self.town.good_config, encoding="utf-8")
        self.town.asked_until(lambda: self.town.daemon.get("/routes")["source"]["refused"] is None)

    def _strangers(self) -> None:
        """Calls of a webhook without its signature, and questions for what is not there."""
        for _ in range(3):
            assert self.town.daemon.http.post("/webhooks/twilio", data={"MessageSid": "SM1"}).status_code == 403
            assert self.town.daemon.http.get("/nowhere").status_code == 404
            self.ledger.webhooks["twilio", "refused"] += 1
            self.ledger.counts["answers_4xx"] += 2

    # --- afternoon ------------------------------------------------------------------------------------------

    def _resume(self) -> None:
        """A person lets Telegram go on."""
        self.town.fires("AlertbusChannelDown")
        self.town.fires("AlertbusQueueOverdue")
        self.town.moment("overdue")
        self.ledger.levels["overdue", "since"] = next(
            sent.at for sent in self.ledger.sent if sent.alert is self._held_up[0]
        )
        self.town.providers.telegram.rules.chats[TELEGRAM_CHAT] = None
        self.town.daemon.post("/channels/telegram/resume")
        self.settled("telegram")

    def _outage(self) -> None:
        """The daemon is killed, and started again when people know; meanwhile alerts are journaled."""
        self.settled("desk", "telegram", "ops")
        self._listener.close()
        for publisher in self.town.beating:
            publisher.say_goodbye()
            self.ledger.counts["duplicate"] += sum(publisher.sent.values()) - len(publisher.sent)
        self.town.beating.clear()
        self.town.moment("before")
        self.town.kill_daemon()
        journaled = [self.risk("CALL") for _ in range(2)]
        for alert in journaled:
            self.ledger.publish(alert, time.time())
            assert self.town.trader.publish(alert)
        self.town.fires("AlertbusDown")
        self.town.start_daemon()
        self.ledger.levels["end", "started_after"] = time.time()
        self.ledger.counts["replayed"] += len(journaled)
        self.ledger.counts["gaps_of_the_outage"] += len(journaled)  # they are missed together, or one by one
        self.town.until(self.acknowledged_all, TAKEN_SECONDS)
        self.settled("desk", "telegram", "ops")

    def _switched_off(self) -> None:
        """One channel is switched off, and then all of them while a CRITICAL comes."""
        daemon = self.town.daemon
        daemon.patch("/channels/desk", {"enabled": False})
        self.publish(*self.untold(*(self.risk("UNHEARD") for _ in range(2))))
        self.ledger.suppressed["desk", "disabled"] += 2
        for channel in _CHANNELS[1:]:
            daemon.patch(f"/channels/{channel}", {"enabled": False})
        self.publish(*self.untold(self.risk("CALL", "CRITICAL")))  # but by `ops`, which is switched on first
        self.ledger.suppressed["telegram", "disabled"] += 1
        self.town.moment("dark")
        self.town.fires("AlertbusCriticalUncovered")
        for channel in reversed(_CHANNELS):
            daemon.patch(f"/channels/{channel}", {"enabled": True})
        self.settled("desk", "telegram", "ops")

    def _evening(self) -> None:
        """All is well again, and people are told so."""
        for alert in ("AlertbusChannelDown", "AlertbusDown", "AlertbusPublisherSilent"):
            self.town.resolves(alert)
        self.settled("desk", "telegram", "ops")
        self.ledger.counts["pings_failed"] = _BAD_PINGS - len(self.town.pinged.answers)
        scrapes = sum(sample.value for sample in self.town.prometheus.query("sum_over_time(up[1h])"))
        self.ledger.counts["answers_2xx"] = round(scrapes) - _UNCOUNTED
        self.town.moment("end")
        look_around(self.town)
        self.ledger.settle(self.town.providers)
