"""Run the server's own process: `python -m persona_lib.local FILE.gguf`; without a file, fetch the embedded model."""

import os
import sys
from pathlib import Path

try:
    import xllamacpp
except ImportError as error:  # its wheel leaves libgomp to the system, and small images of Linux lack that
    sys.exit(f"llama.cpp can't be loaded ({error}): install what it lacks, as with apt-get install libgomp1")

from . import default_model

CONTEXT = 4096  # tokens of prompt and reply together: a profile, a question and an answer take below 1,500
PROMPT_CACHE_MIB = 512  # llama.cpp's own default is 8 GiB


def serve_until_stdin_closes(path: str, embeddings: bool = False) -> None:
    """Print the address once the model is loaded, and end when the parent's pipe closes."""
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {Path(path).stem}
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # any free one
    # On two cores one slot is as fast as four, and gives the same replies to the same order of requests.
    params.n_parallel = 1
    params.n_ctx = CONTEXT
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.ui = False
    if embeddings:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        params.n_batch = params.n_ubatch = CONTEXT  # a text has to fit into one batch
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    # There is nothing to save, and the server's own way to stop can hang if it has only just started.
    os._exit(0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve_until_stdin_closes(sys.argv[1], embeddings="--embeddings" in sys.argv)
    else:
        print(default_model())
