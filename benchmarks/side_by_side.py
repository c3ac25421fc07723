"""Compare a replayed smoke run whose notebooks run side by side with one that runs them one after the other.

    python benchmarks/side_by_side.py                        # 2 rounds of all notebooks (minutes)
    python benchmarks/side_by_side.py --rounds 1 --only 6,11,12

Each round runs both, in turn, so that what else the machine does meets both. CPU seconds are those of the run and all
its kernels, sampled. At the end it says which recorded files differ.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

SAMPLE_S = 1.0  # to read the memory takes a core some hundredths of a second, which two kernels would miss


def measure(folder: Path, jobs: int, only: Sequence[str]) -> tuple[float, float, float]:
    """Run into a folder; return the wall and the CPU seconds, and the most memory of all its processes, in GB."""
    command = [
        sys.executable,
        "-m",
        "persona_lib.cli",
        "run",
        "--preset",
        "smoke",
        "-p",
        "recording=smoke",
        "--jobs",
        str(jobs),
    ]
    command += ["--out", str(folder), *(part for one in only for part in ("--only", one))]
    environment = os.environ | {"PERSONA_STORE": str(folder.with_suffix(".sqlite")), "PERSONA_OFFLINE": "1"}
    cpu: dict[int, float] = {}
    most = 0
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        run = psutil.Process(process.pid)
        while process.poll() is None:
            memory = 0
            for one in [run, *run.children(recursive=True)]:
                try:
                    times = one.cpu_times()
                    cpu[one.pid] = times.user + times.system
                    memory += one.memory_full_info().pss
                except psutil.Error:  # it has ended
                    pass
            most = max(most, memory)
            time.sleep(SAMPLE_S)
    assert process.returncode == 0, f"the run with {jobs} jobs failed"
    return time.perf_counter() - began, sum(cpu.values()), most / 1e9


def recorded(folder: Path) -> dict[str, bytes]:
    """Return what the notebooks of a run recorded, by file."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/**/*") if path.is_file()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    walls: dict[int, list[float]] = {1: [], options.jobs: []}
    with tempfile.TemporaryDirectory() as place:
        folders = {jobs: Path(place) / f"jobs{jobs}" for jobs in walls}
        for k in range(options.rounds):
            for jobs in sorted(walls, reverse=k % 2 == 1):
                wall, cpu, memory = measure(folders[jobs], jobs, options.only.split(",") if options.only else [])
                walls[jobs].append(wall)
                row = {"jobs": jobs, "wall_s": round(wall, 1), "cpu_s": round(cpu, 1), "memory_gb": round(memory, 2)}
                print(json.dumps(row | {"load": os.getloadavg()[0]}), flush=True)
        one, several = (recorded(folders[jobs]) for jobs in walls)
    different = [name for name in sorted(one.keys() | several.keys()) if one.get(name) != several.get(name)]
    ratios = [after / before for before, after in zip(walls[1], walls[options.jobs], strict=True)]
    print(f"side by side takes {statistics.median(ratios):.2f} of the time (median of {options.rounds} rounds)")
    print(f"{len(one)} recorded files, {len(different)} of them differ: {', '.join(different) or 'none'}")


if __name__ == "__main__":
    main()
