"""Tells configured targets apart without telling which they are: a channel's memory is about one of them. Pure."""

from __future__ import annotations

from hashlib import blake2b

from subscriber.channels.channel import ChannelConfig, MetaConfig, TelegramConfig, TwilioConfig


def target_of(config: ChannelConfig) -> str:
    """Return a digest, 32 hexadecimal digits, of who writes to whom, keyed by what nobody else knows.

    Where there is a choice the key outlives a new password, so that one does not make an open window forgotten. What
    decides is the target itself: a template, a pace or a base URL may change.
    """
    if isinstance(config, TelegramConfig):
        key, named = config.token, f"telegram {config.chat_id}"
    elif isinstance(config, TwilioConfig):
        key, named = config.account_sid, f"twilio {config.sender} {config.recipient}"
    elif isinstance(config, MetaConfig):
        key, named = config.phone_number_id, f"meta {config.recipient}"
    else:
        key, named = config.url, config.url
    hashed = blake2b(key.encode("utf-8", "surrogatepass")).digest()  # a key may be no longer than a digest
    return blake2b(named.encode("utf-8", "surrogatepass"), key=hashed, digest_size=16).hexdigest()
