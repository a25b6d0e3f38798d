"""The trader's hooks: one call per event, with the fields of YoopRL's database methods by the same names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from time import perf_counter_ns
from typing import Any

from bus.alerts import Action, AgentAction, Alert, RiskEvent, Severity
from publisher.attaching import attach
from publisher.cost import PublishCost


class Shortcuts(ABC):
    """`risk_event`, `agent_action` and `attach` on top of `publish`; for `Publisher` and `RecordingPublisher`."""

    _cost: PublishCost

    @abstractmethod
    def publish(self, alert: Alert, *, wait: float | None = None) -> bool:
        """Hand an alert over; see `Publisher.publish`."""

    @abstractmethod
    def _take(self, alert: Alert, wait: float | None) -> bool:
        """Do what `publish` does, without a look at the clock: whoever called has looked at it first."""

    def publish_made(self, make: Callable[[], Alert]) -> bool:
        """Make an alert and publish it; for what listens to a program, whose caller pays for the making, too.

        Returns:
            As `Publisher.publish` without `wait`.

        Raises:
            PublisherClosed: This publisher was closed.
        """
        began_ns = perf_counter_ns() if self._cost.due() else 0
        taken = self._take(make(), None)
        if began_ns:
            self._cost.took(began_ns)
        return taken

    @abstractmethod
    def attach_failed(self, error: Exception) -> None:
        """Count what an attached database manager logged and could not be told."""

    def risk_event(  # noqa: PLR0913, PLR0917 - the signature of YoopRL's log_risk_event
        self,
        event_type: str,
        severity: Severity | str,
        description: str = "",
        agent_name: str | None = None,
        symbol: str | None = None,
        value: float | None = None,
        threshold: float | None = None,
        action_taken: str | None = None,
        *,
        pnl: float | None = None,
        position: float | None = None,
        extra: Mapping[str, Any] | None = None,
        occurred_at: datetime | None = None,
        wait: float | None = None,
    ) -> bool:
        """Publish a risk event; the positional fields are those of YoopRL's `log_risk_event`.

        Args:
            event_type: What happened, like `DRAWDOWN_BREACH`.
            severity: INFO, WARNING or CRITICAL.
            description: What a person should read.
            agent_name: The agent that it concerns.
            symbol: The symbol that it concerns.
            value: The measure that fired, in its own unit.
            threshold: The limit that it passed, in the same unit.
            action_taken: What was done about it.
            pnl: Profit and loss, in the account's currency.
            position: The position's size after the event.
            extra: Anything else that a person should see.
            occurred_at: When it happened, with a time zone; now by default.
            wait: Seconds to wait until a daemon has stored it; None returns at once.

        Returns:
            As `Publisher.publish`.

        Raises:
            pydantic.ValidationError: A field can't be carried; it names the field.
            PublisherClosed: This publisher was closed.
        """
        began_ns = perf_counter_ns() if wait is None and self._cost.due() else 0
        fields: dict[str, Any] = {
            "event_type": event_type, "severity": severity, "description": description, "agent_name": agent_name,
            "symbol": symbol, "value": value, "threshold": threshold, "action_taken": action_taken, "pnl": pnl,
            "position": position,
        }  # fmt: skip
        taken = self._take(RiskEvent(**_with_optional(fields, extra, occurred_at)), wait)
        if began_ns:
            self._cost.took(began_ns)
        return taken

    def agent_action(  # noqa: PLR0913, PLR0917 - the signature of YoopRL's log_agent_action
        self,
        agent_name: str | None,
        symbol: str | None,
        action: Action | str,
        quantity: float | None = None,
        price: float | None = None,
        reward: float | None = None,
        rationale: str | None = None,
        confidence: float | None = None,
        state: Any = None,
        *,
        pnl: float | None = None,
        position: float | None = None,
        extra: Mapping[str, Any] | None = None,
        occurred_at: datetime | None = None,
        wait: float | None = None,
    ) -> bool:
        """Publish what an agent did; the positional fields are those of YoopRL's `log_agent_action`.

        Args:
            agent_name: Who acted.
            symbol: What was traded.
            action: BUY, SELL or HOLD.
            quantity: How much was traded; exactly 0 means that nothing was.
            price: The price of one.
            reward: The agent's reward.
            rationale: Why, in words.
            confidence: The agent's own, 0 to 1.
            state: The observation; kept in the history, never part of a message.
            pnl: Profit and loss, in the account's currency.
            position: The position's size after the action.
            extra: Anything else that a person should see.
            occurred_at: When it happened, with a time zone; now by default.
            wait: Seconds to wait until a daemon has stored it; None returns at once.

        Returns:
            As `Publisher.publish`.

        Raises:
            pydantic.ValidationError: A field can't be carried; it names the field.
            PublisherClosed: This publisher was closed.
        """
        began_ns = perf_counter_ns() if wait is None and self._cost.due() else 0
        fields: dict[str, Any] = {
            "agent_name": agent_name, "symbol": symbol, "action": action, "quantity": quantity, "price": price,
            "reward": reward, "rationale": rationale, "confidence": confidence, "state": state, "pnl": pnl,
            "position": position,
        }  # fmt: skip
        taken = self._take(AgentAction(**_with_optional(fields, extra, occurred_at)), wait)
        if began_ns:
            self._cost.took(began_ns)
        return taken

    def attach(self, db_manager: object) -> int:
        """Publish whatever is logged through YoopRL's `DatabaseManager` from now on; never raises, now or later.

        Returns:
            How many of its methods are listened to: 2, or 0 for None and other objects (logged and counted).
        """
        return attach(self, db_manager)


def closing_reason(error: BaseException | None) -> str:
    """Say why a `with` block ended; leaving it by `sys.exit(0)` or with a generator is no failure."""
    clean = error is None or isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and not error.code)
    return "closed" if clean or error is None else reason_of(type(error))


def reason_of(error: type[BaseException]) -> str:
    """Name the exception that ended a program, as people hear of it; Ctrl-C is a signal."""
    return "signal: SIGINT" if issubclass(error, KeyboardInterrupt) else f"exception: {error.__name__}"


def _with_optional(
    fields: dict[str, Any], extra: Mapping[str, Any] | None, occurred_at: datetime | None
) -> dict[str, Any]:
    """Add what has a default of its own in the alert."""
    if extra is not None:
        fields["extra"] = extra
    if occurred_at is not None:
        fields["occurred_at"] = occurred_at
    return fields
