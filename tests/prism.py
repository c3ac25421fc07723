"""A made-up file like PRISM's conversations.jsonl, with as many opening prompts that pass the filters as asked for."""

import json
from itertools import product
from pathlib import Path

SIZE = 3_868  # prompts that the paper keeps
_AIMS = ("schools", "parks", "police", "courts", "roads", "farms", "trains", "clinics", "churches", "museums", "pools")
_WHO = ("towns", "cities", "states", "families", "nurses", "farmers", "judges", "mayors", "voters", "parents", "heirs")
_WHY = ("fair", "wise", "kind", "just", "right", "safe", "needed", "cruel", "costly", "honest", "brave", "moral")


def prompts(n: int = SIZE) -> list[str]:
    """n different questions of five words or more."""
    made = product(_WHY, _WHO, _AIMS, _AIMS)
    found = [f"Is it {why} that {who} pay more for {one} than for {two}?" for why, who, one, two in made if one != two]
    return [found[(i * 7919) % len(found)] for i in range(n)]  # 7,919 is prime: no text comes twice


def write(path: Path, n: int = SIZE) -> str:
    """Write the file, with greetings and repeats that no filter keeps, and return its path."""
    texts = [*prompts(n), "hello", "Tell me about whales please now", "", prompts(1)[0]]
    rows = [
        {"conversation_id": f"c{i}", "conversation_type": "unguided", "opening_prompt": t} for i, t in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)
