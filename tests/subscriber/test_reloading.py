"""A reload: on change, on request, by signal; a configuration with a fault changes nothing, and says why."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bus.errors import ConfigurationError
from subscriber.monitoring.metrics import Metrics
from subscriber.policy.reading import PolicyDocument
from subscriber.reloading import Reloader
from subscriber.setting_groups import GeneralSettings
from subscriber.settings import SubscriberSettings
from subscriber.store import Store
from tests.support.clock import FakeClock
from tests.support.running_service import CREDENTIALS, daemon_environ, daemon_process, running_service
from tests.support.waiting import wait_until

ONE = '[[routes]]\nname = "one"\nchannels = ["telegram"]\n'
TWO = ONE.replace("one", "two")
BROKEN = '[[routes]]\nname = "three"\nchannels = ["telegramm"]\n'


class Rig:
    """A reloader whose reading and applying a test scripts."""

    def __init__(self, store: Store, clock: FakeClock, file: Path) -> None:
        self.applied: list[SubscriberSettings] = []
        self.waiting: list[str] = []
        self.fault: ConfigurationError | None = None
        self.metrics = Metrics()
        document = PolicyDocument({"routes": [{"name": "one"}]})
        self.settings = SubscriberSettings(general=GeneralSettings(config=file), rules_document=document)
        self.store, self.clock = store, clock
        self.reloader = self.started()

    def started(self) -> Reloader:
        """Return the reloader of a daemon that starts with the file as it is."""
        reloader = Reloader(
            self.settings, self.read, self.apply, store=self.store, metrics=self.metrics, clock=self.clock
        )
        reloader.begin()
        return reloader

    def look(self) -> None:
        """Look at the file twice: a change is taken up when it stays."""
        for _ in range(2):
            self.clock.advance(10)
            self.reloader.look()

    def read(self) -> SubscriberSettings:
        if self.fault is not None:
            raise self.fault
        return self.settings

    def apply(self, settings: SubscriberSettings) -> list[str]:
        self.applied.append(settings)
        return self.waiting

    def count(self, result: str) -> float | None:
        return self.metrics.registry.get_sample_value("alertbus_config_reloads_total", {"result": result})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "alertbus.toml"
    path.write_text(ONE)
    return path


@pytest.fixture
def rig(store: Store, clock: FakeClock, file: Path) -> Rig:
    return Rig(store, clock, file)


def test_look_at_a_file_that_stays_reads_nothing(rig: Rig, clock: FakeClock) -> None:
    clock.advance(10)
    rig.reloader.look()
    assert rig.applied == []


def test_look_at_a_file_that_changed_reloads_once(rig: Rig, clock: FakeClock, file: Path) -> None:
    file.write_text(TWO)
    rig.look()
    rig.look()
    assert len(rig.applied) == 1
    assert rig.reloader.state()["loaded_us"] == clock.now_us() - 20_000_000


def test_look_at_a_file_that_is_being_written_waits_until_it_stays(rig: Rig, clock: FakeClock, file: Path) -> None:
    """Half of a file is a good one that says less."""
    for text in (TWO[:13], TWO, TWO + "# the end\n"):
        file.write_text(text)
        clock.advance(10)
        rig.reloader.look()
        assert rig.applied == []
    clock.advance(10)
    rig.reloader.look()
    assert len(rig.applied) == 1


def test_look_after_a_request_reloads_an_unchanged_file(rig: Rig) -> None:
    rig.reloader.request()
    rig.reloader.look()
    rig.reloader.look()
    assert len(rig.applied) == 1


def test_reload_refused_keeps_what_is_in_force_and_tells_why(rig: Rig, store: Store, file: Path) -> None:
    before = rig.reloader.state()
    rig.fault = ConfigurationError("ALERTBUS_CONFIG line 3: it is wrong.", "And this, too.")
    file.write_text(BROKEN)
    rig.look()
    state = rig.reloader.state()
    assert rig.applied == []
    assert (state["digest"], state["loaded_us"]) == (before["digest"], before["loaded_us"])
    assert state["refused"]["problems"] == ["ALERTBUS_CONFIG line 3: it is wrong.", "And this, too."]
    assert (rig.count("refused"), rig.count("loaded")) == (1, 0)
    rig.look()  # the same broken file is not read again and again
    assert rig.count("refused") == 1
    change, _started = store.changes(10)
    assert (change["what"], change["via"]) == ("config_refused", "file")
    rig.fault = None
    assert rig.reloader.reload("cli", "Kim").loaded
    assert rig.reloader.state()["refused"] is None
    assert store.changes(10)[0]["author"] == "Kim"


def test_reload_names_what_waits_for_a_restart(rig: Rig) -> None:
    rig.waiting = ["ALERTBUS_HTTP_PORT has changed."]
    result = rig.reloader.reload("api", "Kim")
    assert result.fields()["waits_for_restart"] == ["ALERTBUS_HTTP_PORT has changed."]
    assert rig.reloader.state()["waits_for_restart"] == ["ALERTBUS_HTTP_PORT has changed."]


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_look_at_a_file_that_says_nothing_refuses_it_once_until_somebody_asks(
    rig: Rig, store: Store, file: Path, text: str | None
) -> None:
    """An editor that saves, or a disk that is full, must not take all rules away."""
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    rig.look()
    rig.look()
    assert (rig.applied, rig.count("refused")) == ([], 1)
    [problem] = rig.reloader.state()["refused"]["problems"]
    assert ("is gone" if text is None else "is empty") in problem
    change, _started = store.changes(10)
    assert (change["what"], change["via"]) == ("config_refused", "file")
    assert rig.reloader.reload("cli", "Kim").loaded
    assert len(rig.applied) == 1


def test_look_at_an_empty_file_loads_it_where_no_policy_is_in_force(rig: Rig, file: Path) -> None:
    """There is nothing that it could take away."""
    rig.settings = replace(rig.settings, rules_document=PolicyDocument())
    assert rig.reloader.reload("cli", "Kim").loaded
    file.unlink()
    rig.look()
    assert len(rig.applied) == 2


def test_look_at_a_whole_file_after_an_empty_one_loads_it(rig: Rig, file: Path) -> None:
    """Also where it is the one that never ceased to be in force."""
    file.write_text("")
    rig.look()
    file.write_text(ONE)
    rig.look()
    assert rig.reloader.state()["refused"] is None
    assert len(rig.applied) == 1


def test_begin_records_a_file_that_was_not_loaded_before(rig: Rig, store: Store, file: Path) -> None:
    """Who looks for why an alert went elsewhere finds each file that was in force, once."""
    rig.started()
    [started] = store.changes(10)
    assert (started["what"], started["via"]) == ("config_loaded", "start")
    assert started["detail"]["digest"] == rig.reloader.state()["digest"]
    file.write_text(TWO)
    assert rig.reloader.reload("api", "Kim").loaded
    rig.started()
    assert [change["via"] for change in store.changes(10)] == ["api", "start"]
    file.write_text(ONE)
    rig.started()
    assert [change["via"] for change in store.changes(10)] == ["start", "api", "start"]


def test_begin_without_a_file_records_nothing(store: Store, clock: FakeClock, tmp_path: Path) -> None:
    Rig(store, clock, tmp_path / "none.toml")
    assert store.changes(10) == []


# --- the whole daemon --------------------------------------------------------------------------------------------


def routes_of(daemon: Any) -> list[str]:
    return [route["name"] for route in daemon.get("/routes")["routes"]]


def test_service_follows_its_file_and_refuses_a_broken_one(tmp_path: Path, file: Path) -> None:
    environ = daemon_environ({"ALERTBUS_CONFIG": str(file)}, tmp_path)
    with running_service(environ, tmp_path) as daemon:
        assert routes_of(daemon) == ["one"]
        file.write_text(TWO)
        wait_until(lambda: routes_of(daemon) == ["two"])
        file.write_text(BROKEN)
        wait_until(lambda: daemon.get("/routes")["source"]["refused"] is not None)
        [problem] = daemon.get("/routes")["source"]["refused"]["problems"]
        assert "line 3" in problem
        assert "did you mean telegram?" in problem
        assert routes_of(daemon) == ["two"]
        answer = daemon.http.post("/api/monitoring/notifications/reload", json={"author": "Kim"})
        assert answer.status_code == 422
        assert "line 3" in answer.json()["error"]
        file.write_text(ONE)
        assert daemon.post("/reload", {"author": "Kim"})["loaded"]
        assert routes_of(daemon) == ["one"]
        assert daemon.get("/changes")[0]["author"] == "Kim"


def test_service_reload_names_changed_settings_without_their_values(tmp_path: Path, file: Path) -> None:
    given = {**CREDENTIALS["telegram"], "ALERTBUS_CONFIG": str(file)}
    with running_service(daemon_environ(given, tmp_path), tmp_path) as daemon:
        daemon.environ["ALERTBUS_DELIVERY_BACKOFF_CAP"] = "33"
        file.write_text(ONE + '[channels.desk]\nurl = "json://user:secret-word@127.0.0.1:9/"\n')
        waits = " ".join(daemon.post("/reload", {})["waits_for_restart"])
    assert "ALERTBUS_DELIVERY_BACKOFF_CAP" in waits
    assert "[channels.desk]" in waits
    assert "secret-word" not in waits


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_process_reloads_on_sighup(tmp_path: Path, file: Path) -> None:
    """A configuration that is the same is loaded again as well: it was asked for."""
    environ = daemon_environ({"ALERTBUS_CONFIG": str(file)}, tmp_path)
    with daemon_process(environ, tmp_path) as daemon:
        before = daemon.get("/routes")["source"]["loaded_us"]
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: daemon.get("/routes")["source"]["loaded_us"] > before)
        wait_until(lambda: daemon.get("/changes")[0]["via"] == "signal")  # what was loaded is recorded after it is
        assert daemon.process.poll() is None
