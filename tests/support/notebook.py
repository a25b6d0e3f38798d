"""Where a channel's memory is kept in tests, and which can be away."""

from subscriber.channels.memory import Changes


class Notebook:
    """Keeps changes, or is away."""

    def __init__(self) -> None:
        self.away = False
        self.kept: list[Changes] = []

    def __call__(self, changes: Changes) -> bool:
        if not self.away:
            self.kept.append(changes)
        return not self.away
