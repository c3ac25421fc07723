"""What tests send to other processes, which import it by this name, however Python starts them."""

import os
import signal

from pydantic import BaseModel

from persona_lib.model.cluster import at_worker


class Said(BaseModel):
    """What the stand-in says."""

    text: str


def kill(packed: bytes) -> object:
    """Ask a shard in a process that is killed when the shard is nearly done."""
    begun: list[at_worker.Task] = []

    def at_last(task: at_worker.Task) -> bool:
        begun.append(task)
        if len(begun) > 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    at_worker.Task.is_wanted = at_last
    return at_worker.ask(packed)
