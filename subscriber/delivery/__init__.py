"""The sending: one worker per channel."""
