"""Copies to a folder what Prometheus, Alertmanager and Grafana take: dashboard, rules, runbooks and examples.

Needs nothing but this package. What names that folder, or the runbooks, names them where they are then. Each file is
there whole or as it was before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import Final
from urllib.parse import urlsplit

from dashboards.places import DASHBOARD, HOME, RULES, RUNBOOKS_URL, examples_folder, runbooks_folder

_SCHEMES: Final = frozenset({"http", "https", "file"})
#: What YAML, JSON or PromQL between quotes would not read as it stands.
_UNQUOTED: Final = frozenset("\"'\\%${}|<> \t\r\n")
#: Prometheus and Grafana read as users of their own, whatever the umask of whoever exports.
_FOLDER_MODE: Final = 0o755
_FILE_MODE: Final = 0o644
#: A link of a runbook to what is beside the runbooks' folder, but for the examples.
_OUTSIDE: Final = re.compile(r"\[([^\]]+)\]\(\.\./(?!examples/)[^)]*\)")


def export(directory: Path, runbooks_url: str | None = None) -> list[Path]:
    """Write all files below a folder, over older ones, and return them.

    Args:
        directory: Made where it is missing.
        runbooks_url: Where the runbooks are read; those that are written here when left out.

    Raises:
        ValueError: The address, or the folder's name, can't stand in the files.
        OSError: A file can't be read or written.
    """
    if directory == Path() or directory.is_file():
        raise ValueError(
            f"{str(directory)!r} is no folder of its own: name the one to write into, such as /etc/alertbus"
        )
    home = directory.resolve().as_posix()
    if any(character in _UNQUOTED for character in home.replace(" ", "")):
        raise ValueError(f"{home}: the files would name this folder, and can't with such characters in it")
    link = (directory.resolve() / "runbooks").as_uri() if runbooks_url is None else _checked(runbooks_url)
    # All is read before anything is written: an installation that is not whole changes nothing.
    texts = [(place, _text(place, source, home, link)) for place, source in _files()]
    written = []
    for place, text in texts:
        target = directory.joinpath(*place.parts)
        for folder in reversed((target.parent, *target.parent.parents)):
            if not folder.exists():
                folder.mkdir()
                folder.chmod(_FOLDER_MODE)
        _write(target, text)
        written.append(target)
    return written


def _text(place: PurePosixPath, source: Path, home: str, link: str) -> str:
    """Return what a file says in this folder. A runbook keeps the words of links to what is not there."""
    text = source.read_text(encoding="utf-8")
    if place.suffix == ".md":
        return _OUTSIDE.sub(r"\1", text.replace("](../../deploy/", "](../examples/"))
    text = text.replace(RUNBOOKS_URL, link)
    return text.replace(HOME, home) if place.parts[0] == "examples" else text


def _files() -> Iterator[tuple[PurePosixPath, Path]]:
    """Yield each file's place below the folder, and where it is now."""
    yield PurePosixPath("grafana", DASHBOARD.name), DASHBOARD
    yield PurePosixPath("prometheus", RULES.name), RULES
    for name, folder in (("runbooks", runbooks_folder()), ("examples", examples_folder())):
        found = sorted(path for path in folder.rglob("*") if path.suffix in {".md", ".yml"})
        if not found:
            raise FileNotFoundError(f"{folder}: nothing there; this installation of alertbus is not whole")
        for path in found:
            yield PurePosixPath(name, *path.relative_to(folder).parts), path


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not (parts.netloc or parts.path.strip("/")):
        raise ValueError(f"{url!r} is no address that starts with http://, https:// or file:// and names a place")
    if parts.query or parts.fragment:
        raise ValueError(f"{url!r}: each runbook's name is put behind the address, so it can't have a ? or a #")
    if "@" in parts.netloc:
        raise ValueError("the address holds a user or a password, which everybody would read who reads an alarm")
    if any(character in _UNQUOTED - {"%"} for character in url):
        raise ValueError(f"{url!r}: write characters of this kind as %XX")
    return url.rstrip("/")


def _write(target: Path, text: str) -> None:
    """Write a file that is there whole or as it was; who reads it may be somebody else."""
    mode = target.stat().st_mode & 0o777 if target.is_file() else _FILE_MODE
    with NamedTemporaryFile(
        "w", dir=target.parent, prefix=f".{target.name}.", delete=False, encoding="utf-8", newline="\n"
    ) as made:
        temporary = Path(made.name)
        made.write(text)
    try:
        temporary.chmod(mode)
        temporary.replace(target)
    except OSError:
        temporary.unlink()
        raise
