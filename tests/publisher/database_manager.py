"""YoopRL's `DatabaseManager` as far as a publisher meets it: the two signatures, to the letter."""

from __future__ import annotations

from typing import Any


class DatabaseManager:
    """Keeps each call; raises what it is told to raise, as a locked database does."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.error: Exception | None = None

    def log_agent_action(
        self,
        agent_name: str,
        symbol: str,
        action: str,
        quantity: float,
        price: float,
        reward: float | None = None,
        rationale: str | None = None,
        confidence: float | None = None,
        state: Any = None,
    ) -> int:
        """Log what an agent did."""
        return self._keep("log_agent_action", {key: value for key, value in locals().items() if key != "self"})

    def log_risk_event(
        self,
        event_type: str,
        severity: str,
        description: str,
        agent_name: str | None = None,
        symbol: str | None = None,
        value: float | None = None,
        threshold: float | None = None,
        action_taken: str | None = None,
    ) -> int:
        """Log a risk event."""
        return self._keep("log_risk_event", {key: value for key, value in locals().items() if key != "self"})

    def _keep(self, method: str, fields: dict[str, Any]) -> int:
        self.calls.append((method, fields))
        if self.error is not None:
            raise self.error
        return len(self.calls)
