"""A silence as the API tells it, and the match by which a silence takes alerts."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field, WithJsonSchema

from subscriber.monitoring.alert_models import MomentUs, OptionalMomentUs, Shown

_MOST_WORDS: Final = 1000
#: `!` in front refuses a word, `>=` takes a severity and all above it.
_SEVERITY: Final = "^ *!? *(>=)?(INFO|WARNING|CRITICAL) *$"
_ACTION: Final = "^ *!? *(BUY|SELL|HOLD) *$"
_KIND: Final = "^ *!? *(risk_event|agent_action|system_event|opaque) *$"
_TEXT: Final = "[^! ]"


def _words(pattern: str, description: str) -> dict[str, Any]:
    """Return the schema of one word, or a list of words, of a pattern."""
    word = {"type": "string", "pattern": pattern}
    some = {"type": "array", "items": word, "minItems": 1, "maxItems": _MOST_WORDS}
    return {"anyOf": [word, some], "description": description}


#: What `policy.match_file` takes, which reads it itself: every fault is told, and by its field.
_MATCH_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Which alerts it takes: those with one of the words in each field that is named; empty for all.",
    "additionalProperties": False,
    "properties": {
        "severity": _words(_SEVERITY, "Severities; `>=WARNING` takes all from there up, `!INFO` all others."),
        "action": _words(_ACTION, "Actions of trades, each also behind `!`."),
        "kind": _words(_KIND, "Kinds of alerts, each also behind `!`."),
        "event_type": _words(_TEXT, "Types of events; globs and a `!` in front are allowed."),
        "symbol": _words(_TEXT, "Symbols; globs and a `!` in front are allowed."),
        "agent_name": _words(_TEXT, "Names of agents; globs and a `!` in front are allowed."),
        "source": _words(_TEXT, "Publishing processes; globs and a `!` in front are allowed."),
    },
    "examples": [{"symbol": ["TNA", "U*"], "severity": "WARNING"}],
}
Match = Annotated[dict[str, Any], WithJsonSchema(_MATCH_SCHEMA)]


class SilenceShown(Shown):
    """What is not told for a while, who wanted that, and what became of it."""

    id: int = Field(description="The silence's number; the cursor of GET /silences.")
    matchers: dict[str, str | list[str]] = Field(description="Which alerts it takes, as the match of a route.")
    author: str = Field(description="Who set it; may be empty.")
    via: str = Field(description="By which way it was set: api, cli, page or telegram.")
    reason: str = Field(description="Why; may be empty.")
    created_us: MomentUs
    starts_us: MomentUs
    ends_us: int = Field(description="When it was to end, microseconds of UTC since 1970.")
    drops: bool = Field(description="What falls in it is not told at its end.")
    lets_critical: bool = Field(description="CRITICAL is told all the same.")
    ended_us: OptionalMomentUs
    ended_by: str | None = Field(description="Who ended it before its time; null: nobody.")
