"""Share a run's limits: its process holds the budget and the pace of each endpoint, and its kernels count there.

`served` serves them over a socket; PERSONA_SHARED tells a kernel where. Each thread that asks has a connection, which a
thread serves: when a kernel is killed, its connections close, those threads end, and what they held counts as spent.
A message is a line of JSON. One for which nothing is returned gets no answer, so that nobody waits for it.
"""

import hmac
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, BinaryIO

from ... import UserError
from ...store import Store
from .budget import Budget
from .pace import Pace

VARIABLE = "PERSONA_SHARED"
LOOPBACK = "127.0.0.1"
LEASE_S = 0.05  # for which a pace that limits nothing is not asked again
SILENT_S = 30  # after which a connection without a message is probed: a machine may have lost its power
PROBES = 4  # without an answer, each after a quarter of that time, and the machine is taken to be gone
RUNS = 8  # that a process stays connected to: a worker serves one after the other
STOP_S = 0.1  # between looks whether the run is over
BUDGET = ("limits", "hold", "settle", "release", "correct")  # what a kernel may call
PACE = ("join", "lease", "start", "over", "accepted", "refused", "hold", "has_answers", "told", "recall")


class _Connection(StreamRequestHandler):
    """Does what one thread of a kernel asks for, message by message."""

    server: "_Server"

    def handle(self) -> None:
        _probed(self.request)
        nonce = secrets.token_hex(16)
        self.wfile.write(f"{nonce}\n".encode())
        expected = _proof(self.server.key, nonce)
        if not hmac.compare_digest(self.rfile.readline(len(expected) + 1).strip(), expected):
            return
        with suppress(OSError):  # the kernel was killed
            for line in self.rfile:
                name, method, given, waits = json.loads(line)
                told = self.server.does(name, method)(*given)
                if waits:
                    self.wfile.write(json.dumps(told).encode() + b"\n")


class _Server(ThreadingTCPServer):
    """Holds the budget and the paces of a run."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: str, budget: Budget):
        super().__init__((host, 0), _Connection)
        self.key = secrets.token_hex(16)
        self._budget = budget
        self._paces: dict[tuple[str, str], Pace] = {}
        self._guard = threading.Lock()

    def does(self, name: list[str] | None, method: str) -> Any:
        """Return a method of the pace of (model, address), or of the budget if there is no name."""
        if name is None:
            return getattr(self._budget, BUDGET[BUDGET.index(method)])
        model, base_url = name
        with self._guard:
            pace = self._paces.setdefault((model, base_url), Pace(0, model))
        return getattr(pace, PACE[PACE.index(method)])


@contextmanager
def served(budget: Budget, host: str = LOOPBACK) -> Iterator[dict[str, str]]:
    """Serve a run's budget, and the paces of the endpoints that it asks, to the end of the block.

    Args:
        budget: of the run.
        host: the address to listen at: one of this machine's that the kernels reach.

    Yields:
        The environment variables with which a kernel counts here.

    Raises:
        UserError: this machine does not have that address.
    """
    try:
        server = _Server(host, budget)
    except OSError as error:
        raise UserError(
            f"the run's limits can't be served at {host} ({error}): give an address of this machine"
        ) from None
    thread = threading.Thread(target=server.serve_forever, args=(STOP_S,), daemon=True)
    thread.start()
    try:
        yield {VARIABLE: json.dumps({"host": host, "port": server.server_address[1], "key": server.key})}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _probed(connection: socket.socket) -> None:
    """Send what is written at once, and notice when the other machine is gone."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("KEEPIDLE", SILENT_S), ("KEEPINTVL", SILENT_S // PROBES), ("KEEPCNT", PROBES)):
        if option := getattr(socket, f"TCP_{name}", None):  # not every system has all
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _proof(key: str, nonce: str) -> bytes:
    """Return what shows that one knows the key, which itself is not sent."""
    return hmac.new(key.encode(), nonce.encode(), "sha256").hexdigest().encode()


class _Run:
    """The way to the process of a run: a connection for each thread."""

    def __init__(self, host: str, port: int, key: str):
        self._place = host, port
        self._key = key
        self._own = threading.local()

    def call(self, name: list[str] | None, method: str, *given: Any, waits: bool = True) -> Any:
        """Call a method of the budget (no name), or of a pace, and return what it returns unless nobody waits for it.

        Raises:
            UserError: the run's process can't be reached, or has ended.
        """
        try:
            file = self._connection()
            file.write(json.dumps([name, method, given, waits]).encode() + b"\n")
            file.flush()
            line = file.readline() if waits else b"null\n"
        except OSError as error:
            raise UserError(self._lost(error.strerror or str(error))) from None
        except BaseException:  # Ctrl-C: the answer would be taken for that of the next call
            vars(self._own).pop("file", None)  # there is none yet, if it was connecting
            raise
        if not line:
            raise UserError(self._lost("it has closed the connection"))
        return json.loads(line)

    def _lost(self, why: str) -> str:
        host, port = self._place
        return f"the process that holds this run's limits does not answer at {host}:{port} ({why}): run it again"

    def _connection(self) -> BinaryIO:
        """Return the connection of this thread, which closes when the thread ends."""
        if not hasattr(self._own, "file"):
            with socket.create_connection(self._place, timeout=SILENT_S) as opened:
                _probed(opened)
                opened.settimeout(None)  # the run may be suspended
                file = opened.makefile("rwb")
            file.write(_proof(self._key, file.readline().decode().strip()) + b"\n")
            self._own.file = file
        return self._own.file


class _SharedBudget(Budget):
    """The budget of a run, which its process holds."""

    def __init__(self, run: _Run):
        super().__init__(*run.call(None, "limits"))
        self._run = run

    def hold(self, bound: float) -> tuple[str, bool] | None:
        told = self._run.call(None, "hold", bound)
        return told and (told[0], told[1])

    def settle(self, held: float, cost: float) -> None:
        self._run.call(None, "settle", held, cost, waits=False)

    def release(self, held: float) -> None:
        self._run.call(None, "release", held, waits=False)

    def correct(self, more: float) -> None:
        self._run.call(None, "correct", more, waits=False)


class _SharedPace(Pace):
    """The pace of a model at an endpoint, for one thread; the process of the run has it."""

    def __init__(self, run: _Run, name: str, base_url: str):  # what `Pace` keeps is kept there
        self._run = run
        self._name = [name, base_url]
        self._leased_until = 0.0

    def _tell(self, method: str, *given: Any) -> None:
        self._run.call(self._name, method, *given, waits=False)

    def join(self, most_in_flight: int) -> None:
        self._tell("join", most_in_flight)

    def place(self) -> float:
        if time.monotonic() < self._leased_until:
            return 0.0
        wait, free = self._run.call(self._name, "lease")
        self._leased_until = time.monotonic() + LEASE_S if free else 0.0
        return float(wait)

    def start(self) -> float:
        return float(self._run.call(self._name, "start"))

    def over(self) -> None:
        self._tell("over")

    def accepted(self, latency: float, per_s: float | None = None) -> None:
        self._tell("accepted", latency, per_s)

    def refused(self) -> None:
        self._leased_until = 0.0
        self._tell("refused")

    def hold(self, seconds: float) -> bool:
        self._leased_until = 0.0
        return bool(self._run.call(self._name, "hold", seconds))

    def has_answers(self) -> bool:
        return bool(self._run.call(self._name, "has_answers"))

    def told(self) -> str | None:
        told = self._run.call(self._name, "told")
        return told and str(told)

    def recall(self, kept: str) -> None:
        self._tell("recall", kept)


_PACES: dict[tuple[str, str], Pace] = {}  # of this process, outside a run
_KNOWN = threading.Lock()


@lru_cache(RUNS)
def _way(told: str) -> _Run:
    """Return the connections to the run that the variable names."""
    return _Run(**json.loads(told))


@lru_cache(RUNS)
def _budget(told: str | None) -> Budget:
    return _SharedBudget(_way(told)) if told else Budget()


def present() -> str | None:
    """Return the value of PERSONA_SHARED: the run that this process belongs to, if any."""
    return os.environ.get(VARIABLE)


def of_run(run: str | None = None) -> Budget:
    """Return the budget of the run that this process belongs to; without limits outside a run.

    Args:
        run: another run, by what `present` returns there; a worker of a cluster serves several.
    """
    return _budget(run or present())


def of_endpoint(name: str, base_url: str | None, most_in_flight: int, store: Store, run: str | None = None) -> Pace:
    """Return the pace of a model at an endpoint: that of the run or of this process, or what the store keeps of others.

    Args:
        name: of the model; one that was not asked before begins at the pace of the endpoint's last one.
        base_url: the endpoint's address; None means the embedded server, which refuses nothing.
        most_in_flight: requests of this thread that may wait for their reply at once.
        store: has the pace of processes before.
        run: as in `of_run`.
    """
    if base_url is None:
        pace = Pace(most_in_flight)
        pace.opening = False
        return pace
    if told := run or present():
        pace = _SharedPace(_way(told), name, base_url)
    else:
        with _KNOWN:
            pace = _PACES.setdefault((name, base_url), Pace(0, name))
    pace.join(most_in_flight)
    if kept := store.endpoint(_kept_as(base_url)):
        pace.recall(kept)
    return pace


def keep(pace: Pace, base_url: str, store: Store) -> None:
    """Keep the pace of an endpoint in the store, for the processes after this one."""
    if told := pace.told():
        store.note_endpoint(_kept_as(base_url), told)


def _kept_as(base_url: str) -> str:
    return f"pace of {base_url}"
