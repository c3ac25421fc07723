"""The planted model: a made-up model with known effects, to see whether an experiment would find them.

It answers as a strong model does: 20 to 45 words of critique, 80 to 200 of reasoning, answers of about the length asked
for. Its verdicts and choices have the effects of `EFFECTS`, so that what a notebook finds can be compared with what is
there (`truth`). `World.reply` is a pure function of a request and a seed; `Endpoint` serves it on the loopback address,
and `Planted` stands in for a `Model` without any server.
"""

from .effects import EFFECTS, Effects
from .endpoint import Endpoint
from .world import Planted, World

__all__ = ["EFFECTS", "Effects", "Endpoint", "Planted", "World"]
