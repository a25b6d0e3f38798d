"""Reads settings from the environment for both sides, and tells every fault at once.

A value comes from the process's environment, else from `.env`, else, for a secret, from the file that NAME_FILE names.
Publisher and daemon read the same `.env`; each takes its own names from it. A settings model is plain pydantic: its
fields say their variable by `validation_alias`, and a `SecretStr` makes a field a secret. A fault names the variable
and says what to do; no value is ever shown, because the odd value may be a token in the wrong place.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

from dotenv.parser import parse_stream
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource

from bus.errors import ConfigurationError

#: What the publisher alone reads: the daemon knows these names from the shared `.env` and leaves them alone.
PUBLISHER_NAMES: Final = (
    "ALERTBUS_HEARTBEAT_INTERVAL",
    "ALERTBUS_JOURNAL",
    "ALERTBUS_JOURNAL_MAX_AGE",
    "ALERTBUS_JOURNAL_MAX_BYTES",
    "ALERTBUS_JOURNAL_SYNC",
    "ALERTBUS_PUBLISH_BIND",
    "ALERTBUS_QUEUE_LIMIT",
    "ALERTBUS_SOURCE",
)
PREFIX: Final = "ALERTBUS_"
#: How alike two whole names are, from 0 to 1, for one to be a misspelling of the other.
_LOOKALIKE: Final = 0.8
#: Bytes of a file that holds a secret; more is some other file.
SECRET_FILE_LIMIT_BYTES: Final = 64 * 1024

_FILE_SUFFIX: Final = "_FILE"
_PHRASES: Final = {
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "missing": "is missing",
}
_Model = TypeVar("_Model", bound=BaseModel)
_Settings = TypeVar("_Settings")


class SettingsGroup(BaseModel):
    """Settings that belong together; constructed by attribute in code and by variable from an environment."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_by_name=True, validate_by_alias=True
    )


class Faults:
    """Collects what is wrong, so that a person hears of all of it in one run."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.faulty: set[str] = set()  #: names whose fault is told already

    def fault(self, name: str, sentence: str) -> None:
        """Keep a fault of a setting; a sentence that begins with a verb (must, is, names) reads on from the name."""
        self.faulty.add(name)
        reads_on = sentence.startswith(("must ", "is ", "names "))
        end = "" if sentence.endswith((".", "?")) else "."
        self.problems.append(f"{name}{'' if reads_on else ':'} {sentence}{end}")

    def complete(self, settings: _Settings | None) -> _Settings:
        """Return what was read without any fault.

        Raises:
            ConfigurationError: Something had a fault; it tells all of them.
        """
        if self.problems or settings is None:
            raise ConfigurationError(*self.problems)
        return settings


class SettingsReader(Faults):
    """Reads any number of settings models from one environment, and collects the faults of all of them."""

    def __init__(self, environ: Mapping[str, str] | None = None, env_file: str | os.PathLike[str] | None = ".env"):
        """Read the `.env` file, where there is one, below the environment.

        Args:
            environ: The process's environment unless another one is given.
            env_file: None reads no file.
        """
        super().__init__()
        self.environment: Mapping[str, str] = {
            **self._dotenv(env_file),
            **(os.environ if environ is None else environ),
        }

    def read(
        self,
        model: type[_Model],
        *,
        defaults: Mapping[str, object] | None = None,
        keep_empty: Collection[str] = (),
    ) -> _Model | None:
        """Return the settings, or None when they have faults, which are kept for `complete`.

        Args:
            model: Each field has a `validation_alias`, the variable's name.
            defaults: By variable, for what only a look at the machine can tell.
            keep_empty: Variables for which an empty value means something else than none.
        """
        values: dict[str, object] = dict(defaults or {})
        for name, _, field in variables(model):
            text = self._text(name, secret=is_secret(field))
            if text or (text is not None and name in keep_empty):
                values[name] = text
        faults: list[tuple[str, str]] = []
        try:
            return model.model_validate(values)
        except ValidationError as error:
            faults = _faults(model, error)
        # Outside of the `except`: pydantic's error holds the values, and would hang on ours as its context.
        for name, sentence in faults:
            if name not in self.faulty:  # else the file that should have given its value is the fault
                self.fault(name, sentence)
        return None

    def secret_file(self, name: str, path: Path) -> str | None:
        """Return the text of a file that a variable names, or None when that is a fault of the variable."""
        problem = ""
        try:
            with path.expanduser().open("rb") as file:
                content = file.read(SECRET_FILE_LIMIT_BYTES + 1)
            text = content.decode("utf-8-sig").strip()
        except OSError as error:
            problem = f"the file can't be read ({error.strerror or type(error).__name__}); name a readable file"
        except UnicodeDecodeError:
            problem = "the file holds no UTF-8 text; name a file with the secret only"
        except (ValueError, RuntimeError):
            problem = "that can't be the path of a file; name a readable file"
        else:
            if len(content) > SECRET_FILE_LIMIT_BYTES:
                problem = "the file is too large to be a secret; name a file with the secret only"
            elif text:
                return text
            else:
                problem = "the file is empty; write the secret into it"
        self.fault(name, problem)
        return None

    def _text(self, name: str, *, secret: bool) -> str | None:
        text = self._given(name)
        file_name = name + _FILE_SUFFIX
        path = self._given(file_name) if secret else None
        if not path:
            return text
        if text:
            self.fault(name, f"is set, and so is {file_name}; unset one of them")
            return None
        text = self.secret_file(file_name, Path(path))
        if text is None:
            self.faulty.add(name)
        return text

    def _given(self, name: str) -> str | None:
        # Blanks at the ends come from quoting and from Windows' `set NAME=value & …`; no setting of ours has any.
        text = self.environment.get(name)
        return None if text is None else text.strip()

    def _check_lines(self, path: Path) -> None:
        """Report each line of a `.env` that sets nothing: python-dotenv would pass over it with a log line."""
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if not path.exists():
            return
        with path.open(encoding="utf-8") as file:
            for binding in parse_stream(file):
                if binding.error:
                    self.problems.append(f"{path.name}: line {binding.original.line} can't be read; write NAME=value.")

    def _dotenv(self, env_file: str | os.PathLike[str] | None) -> dict[str, str]:
        if env_file is None:
            return {}
        problem = ""
        try:
            self._check_lines(Path(env_file))
            source = DotEnvSettingsSource(BaseSettings, env_file=Path(env_file), case_sensitive=True)
            return {name: text for name, text in source.env_vars.items() if text is not None}
        except OSError as error:
            problem = f"it can't be read ({error.strerror or type(error).__name__})"
        except ValueError:
            problem = "it holds no UTF-8 text; save it as UTF-8"
        self.problems.append(f"{Path(env_file).name}: {problem}.")
        return {}


def variables(model: type[BaseModel]) -> Iterator[tuple[str, str, FieldInfo]]:
    """Return the variable, the attribute and the field of every setting in a model."""
    for attribute, field in model.model_fields.items():
        yield str(field.validation_alias), attribute, field


def is_secret(field: FieldInfo) -> bool:
    """Say whether a field's value must never be shown; it can then be given as NAME_FILE too."""
    return field.annotation is SecretStr or SecretStr in get_args(field.annotation)


def known_names(model: type[BaseModel]) -> set[str]:
    """Return every variable that a model reads, NAME_FILE included."""
    return {
        name
        for variable, _, field in variables(model)
        for name in ((variable, variable + _FILE_SUFFIX) if is_secret(field) else (variable,))
    }


def unknown_names(environment: Iterable[str], known: Collection[str]) -> list[tuple[str, str]]:
    """Return each ALERTBUS_ variable that nobody reads, with a sentence that says what may have been meant."""
    found = sorted(name for name in environment if name.upper().startswith(PREFIX) and name not in known)
    return [(name, f"is no setting of alertbus; {_suggestion(name, known)}") for name in found]


def lookalikes(environment: Iterable[str], known: Collection[str]) -> list[str]:
    """Return a sentence for each variable that is no setting, and is named nearly as one that is not set.

    No fault, for other programs share the environment: but a misspelt credential would pass for none at all.

    Args:
        environment: The names that are set.
        known: The settings without the prefix `ALERTBUS_`, whose unknown names are faults.
    """
    names = set(environment)
    found = []
    for name in sorted(names - set(known)):
        near = get_close_matches(name.upper(), sorted(set(known) - names), n=1, cutoff=_LOOKALIKE)
        if near and not name.upper().startswith(PREFIX):
            found.append(f"{name} is no setting of alertbus; did you mean {near[0]}?")
    return found


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` for the known word that is nearest to another one, or nothing."""
    near = get_close_matches(word, sorted(known), n=1, cutoff=0.75)
    return f"; did you mean {near[0]}?" if near else ""


def _suggestion(name: str, known: Collection[str]) -> str:
    # The prefix that all share would make any two names look alike.
    near = did_you_mean(name[len(PREFIX) :].upper(), (word[len(PREFIX) :] for word in known if word.startswith(PREFIX)))
    return near.removeprefix("; ").replace("mean ", f"mean {PREFIX}") or "unset it"


def _faults(model: type[BaseModel], error: ValidationError) -> list[tuple[str, str]]:
    # A default that fails is told by its attribute, a given value by its variable.
    by_attribute = {attribute: name for name, attribute, _ in variables(model)}
    faults = []
    for detail in error.errors(include_input=False, include_url=False):
        place = str(detail["loc"][0]) if detail["loc"] else model.__name__
        sentence = _sentence(detail["type"], detail["msg"], detail.get("ctx", {}))
        faults.append((by_attribute.get(place, place), sentence))
    return faults


def _sentence(kind: str, message: str, context: Mapping[str, Any]) -> str:
    if kind in _PHRASES:
        return _PHRASES[kind]
    if kind == "value_error":
        return str(context["error"])
    if kind == "greater_than_equal":
        return f"must be {_number(context['ge'])} or more"
    if kind == "less_than_equal":
        return f"must be {_number(context['le'])} or less"
    return re.sub(r"^(Input|String|Value) should ", "must ", message)


def _number(limit: float) -> str:
    return str(int(limit)) if limit == int(limit) else str(limit)
