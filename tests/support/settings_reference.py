"""Writes what people read about the settings, from the settings themselves: README's table and `.env.example`.

`python -m tests.support.settings_reference` rewrites both; tests fail while one is stale.
It stands outside of the packages because only here may publisher and daemon be seen at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Final

from annotated_types import Ge, Le
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bus.settings import is_secret, variables
from publisher.settings import PublisherSettings
from subscriber.policy_settings import OFF, can_be_off
from subscriber.settings import GROUPS, BusSettings

ROOT: Final = Path(__file__).parents[2]
BEGIN: Final = "<!-- settings -->"
END: Final = "<!-- /settings -->"

#: Defaults that only the machine can tell.
_TOLD: Final = {
    "ALERTBUS_TIMEZONE": "the machine's, else UTC",
    "ALERTBUS_JOURNAL": "the platform's state folder",
    "ALERTBUS_SOURCE": "host/script",
}
#: What a file that is copied shows as an example, where the default is none.
_EXAMPLES: Final = {
    "TELEGRAM_BOT_TOKEN": "123456789:AAbbCCdd…",
    "TELEGRAM_CHAT_ID": "123456789",
    "TWILIO_ACCOUNT_SID": "AC…",
    "TWILIO_AUTH_TOKEN": "…",
    "WHATSAPP_FROM": "+14155238886",
    "WHATSAPP_TO": "+15551234567",
    "WHATSAPP_CLOUD_TOKEN": "EAA…",
    "WHATSAPP_PHONE_NUMBER_ID": "123456789012345",
    "WHATSAPP_APP_SECRET": "…",
    "WHATSAPP_VERIFY_TOKEN": "a-long-random-word",
    "NOTIFICATION_CHANNELS": "whatsapp,telegram",
    "TWILIO_CONTENT_SID": "HX…",
    "WHATSAPP_TEMPLATE": "trading_alert",
    "ALERTBUS_PUBLIC_URL": "https://alerts.example.org",
    "ALERTBUS_API_TOKEN": "a-long-random-word",
    "ALERTBUS_API_READ_TOKEN": "another-long-random-word",
    "ALERTBUS_METRICS_TOKEN": "a-third-long-random-word",
    "ALERTBUS_CORS_ORIGINS": "http://localhost:3000",
    "ALERTBUS_TIMEZONE": "Europe/Berlin",
    "ALERTBUS_PING_URL": "https://hc-ping.com/…",
    "ALERTBUS_JOURNAL": "/var/lib/alertbus/journal",
    "ALERTBUS_SOURCE": "desk-1/live_trader",
    "ALERTBUS_PUBLISH_BIND": "tcp://127.0.0.1:5557",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as people read it."""

    name: str
    reader: str  #: daemon, publisher or both
    group: str
    secret: bool
    default: str
    description: str


def settings() -> list[Setting]:
    """Return every setting there is, the daemon's first."""
    shared = {name for name, _, _ in variables(BusSettings)} & {name for name, _, _ in variables(PublisherSettings)}
    found = [
        _setting(name, field, "both" if name in shared else "daemon", model)
        for model in GROUPS
        for name, _, field in variables(model)
    ]
    return found + [
        _setting(name, field, "publisher", PublisherSettings)
        for name, _, field in variables(PublisherSettings)
        if name not in shared
    ]


def settings_table() -> str:
    """Return README's table."""
    lines = ["| Setting | Read by | Default | Meaning |", "|---|---|---|---|"]
    for setting in settings():
        name = f"`{setting.name}`" + (", `…_FILE`" if setting.secret else "")
        default = setting.default if setting.name in _TOLD or not setting.default else f"`{setting.default}`"
        lines.append(f"| {name} | {setting.reader} | {default} | {setting.description} |")
    return "\n".join(lines)


def env_example() -> str:
    """Return `.env.example`: every setting, each commented out, so that a copy changes nothing."""
    return "\n".join(_env_lines()) + "\n"


def readme_with_table(text: str) -> str:
    """Return README's text with a fresh table.

    Raises:
        ValueError: It has not exactly one place for the table.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"README.md needs {BEGIN} and {END}, once and in this order, where the settings belong")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{settings_table()}\n{END}{rest.partition(END)[2]}"


def main() -> int:
    """Rewrite both files."""
    (ROOT / ".env.example").write_text(env_example(), encoding="utf-8")
    readme = ROOT / "README.md"
    try:
        readme.write_text(readme_with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _setting(name: str, field: FieldInfo, reader: str, model: type[BaseModel]) -> Setting:
    limits = {type(item): item for item in field.metadata}
    least, most = limits.get(Ge), limits.get(Le)
    span = ""
    if isinstance(least, Ge) and isinstance(most, Le):
        span = f" {_plain(least.ge)} to {_plain(most.le)}."
    group = (model.__doc__ or "").partition("\n")[0]
    return Setting(name, reader, group, is_secret(field), _default(name, field), f"{field.description}{span}")


def _default(name: str, field: FieldInfo) -> str:
    if name in _TOLD:
        return _TOLD[name]
    value = field.default
    if value is None:
        return OFF if can_be_off(field) else ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(value) if isinstance(value, tuple) else _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def _env_lines() -> Iterator[str]:
    yield from (
        "# Settings of alertbus. Copy this file to .env and take the # away from what you set: every line is commented",
        "# out, so a plain copy changes nothing. The process's environment goes before this file. Publisher and daemon",
        "# read the same file; each ignores the other's names. A secret may also stand in a file of its own: set",
        "# NAME_FILE=/path instead of NAME. Without any credentials the daemon makes a dry run. What stands here is",
        "# the default or, where there is none, an example.",
    )
    group = ""
    for setting in settings():
        if setting.group != group:
            group = setting.group
            yield ""
            yield f"# --- {'The publisher' if setting.reader == 'publisher' else group.rstrip('.')} ---"
        yield ""
        default = f" Default: {setting.default}." if setting.name in _TOLD else ""
        secret = f" Also {setting.name}_FILE." if setting.secret else ""
        text = setting.description.replace("`", "") + default + secret
        yield from wrap(text, 118, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
        yield f"# {setting.name}={_EXAMPLES.get(setting.name, setting.default)}"


if __name__ == "__main__":
    sys.exit(main())
