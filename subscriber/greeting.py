"""What a daemon says to whoever started it."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

NO_CREDENTIALS: Final = (
    "DRY RUN: no credentials are set, so nothing is sent; below is shown what would be.\n"
    "  Telegram:          TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID\n"
    "  WhatsApp (Twilio): TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, WHATSAPP_FROM and WHATSAPP_TO\n"
    "  WhatsApp (Meta):   WHATSAPP_CLOUD_TOKEN, WHATSAPP_PHONE_NUMBER_ID and WHATSAPP_TO\n"
    "Put them into .env (see .env.example), then try: {command} check --online"
)
TRY_NEXT: Final = 'Try, in another shell: {command} "Drawdown breached" --severity CRITICAL --wait 5'


def greeting(*, dry_run: bool, without_credentials: bool) -> Iterator[str]:
    """Say what a person has to know at the start: that nothing is sent, why, and what to try next."""
    if without_credentials:
        yield NO_CREDENTIALS.format(command=_command("alertbus-subscriber"))
    elif dry_run:
        yield "DRY RUN: nothing is sent; below is shown what would be."
    if dry_run:
        yield TRY_NEXT.format(command=_command("alertbus-publish"))


def _command(name: str) -> str:
    """Return how a command of ours is typed here: by its path, where its name alone would not be found."""
    if shutil.which(name):
        return name
    folder = Path(sys.executable).parent
    with contextlib.suppress(ValueError):
        folder = folder.relative_to(Path.cwd())
    return str(folder / name)
