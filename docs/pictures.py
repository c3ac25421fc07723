"""Write the pictures of README and docs from a run: `python docs/pictures.py RUN`. Needs Chromium for the two pages.

The committed ones are of `persona rehearse --preset small`, which writes the run into `run/` of its folder.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent / "pictures"
FIGURES = {
    "distances": "01_personas/figures/distances.png",
    "preferred": "03_preferences/figures/preferred.png",
    "influence": "04_leave_one_out/figures/influence.png",
    "yardsticks": "05_fidelity/figures/yardsticks.png",
    "conditioning": "06_conditioning/figures/conditioning.png",
    "differences": "06_conditioning/figures/differences.png",
    "dropped": "07_summaries/figures/dropped.png",
    "pass_at_k": "08_pass_at_k/figures/curves.png",
    "crossings": "09_intersections/figures/crossings.png",
    "shifts": "10_judges/figures/shifts.png",
    "curve": "11_methods/figures/curve.png",
}
SHOTS = {"index": "index.html", "items": "items.html"}
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *(
        "--disable-background-networking",
        "--disable-component-update",
        "--hide-scrollbars",
        "--virtual-time-budget=8000",
    ),
)


def small(source: Path, name: str, width: int) -> None:
    """Write a picture with at most this width in pixels and 64 colours."""
    picture = Image.open(source).convert("RGB")
    picture.thumbnail((width, 10 * width))
    picture.quantize(64, dither=Image.Dither.NONE).save(HERE / f"{name}.png", optimize=True)


def main(run: Path) -> None:
    """Shrink figures of a run, and take a shot of the top of its index and of its items."""
    HERE.mkdir(exist_ok=True)
    for name, figure in FIGURES.items():
        if (run / figure).exists():
            small(run / figure, name, 900)
    for name, page in SHOTS.items():
        with tempfile.TemporaryDirectory() as folder:
            shot, address = Path(folder) / "shot.png", (run / page).resolve().as_uri()
            own = (f"--user-data-dir={folder}/profile", f"--screenshot={shot}", "--window-size=1200,900")
            subprocess.run(["chromium", *FLAGS, *own, address], check=True, capture_output=True, timeout=90)
            small(shot, name, 800)
    for path in sorted(HERE.glob("*.png")):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
