# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Measures the figures of the window and prints what was asked and what was reached as a Markdown table.

    window.py --bin build/release/bin --table build/bench/window.md

frames    kvista-bench-views: the frame that 99 of 100 are not slower than, by the clock
edits     kvista-bench-studio: an edit of a 7B model's plan
memory    kvista-bench-studio --window-memory
start     kvista-studio from its start until it can be used, empty and with a project of the demo, on a display of its own;
          the window says how it is every tenth of a second, by which this is too high. Of five starts the median
blocks    the longest time in which the window's thread did not answer, over tests/e2e/test_studio*.py in a real window

Other programs disturb all of these: run it on a machine that has nothing else to do. Exit status: 0 if every figure that was
measured holds, 1 if not.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FRAME, BLOCK, MEMORY = 16, 50, 300  # Milliseconds, milliseconds, megabytes.
STARTS = {"empty": 1.0, "with a project of the demo": 1.5}  # Seconds.
# Not frames of something that moves: what arrives once.
ARRIVALS = ("newRecord", "newTokenLosses", "AllSpectraArrive")


class Table:
    def __init__(self):
        self.lines, self.missed = ["| figure | asked | reached | holds |", "|---|---|---|---|"], 0
        print("\n".join(self.lines), flush=True)

    def add(self, name, asked, reached, unit):
        holds = reached <= asked
        self.missed += not holds
        self.say(name, f"at most {asked:g} {unit}", f"{reached:.3g} {unit}", "yes" if holds else "NO")

    def say(self, *cells):
        self.lines.append("| " + " | ".join(cells) + " |")
        print(self.lines[-1], flush=True)


def benchmarks(program):
    """The answers of a program of Google's benchmark library, by name."""
    done = subprocess.run([program, "--benchmark_format=json"], env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=True)
    return {entry["name"]: entry for entry in json.loads(done.stdout)["benchmarks"]}


def frames(table, programs):
    for name, entry in benchmarks(programs / "kvista-bench-views").items():
        asked = BLOCK if name.startswith(ARRIVALS) else FRAME
        table.add(f"frame: {re.sub(r'/iterations:.*', '', name)}", asked, entry["wall_p99_ms"], "ms")


def edits(table, programs):
    for name, entry in benchmarks(programs / "kvista-bench-studio").items():
        short = name.removeprefix("Large/")
        table.add(f"edit of a 7B plan: {short}", BLOCK if short in ARRIVALS else FRAME, entry["real_time"], "ms")


def memory(table, programs):
    done = subprocess.run([programs / "kvista-bench-studio", "--window-memory"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    reached = re.search(r"7B project: ([\d.]+) MB", done.stdout)
    if not reached:
        raise SystemExit(f"kvista-bench-studio --window-memory failed:\n{done.stdout}")
    table.add("memory with a project of a 7B model", MEMORY, float(reached[1]), "MB")


def start(table, _):
    from studio_window import Display, Studio, calibrated_project, idle  # They look at the environment.

    with Display() as display, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        project = calibrated_project(folder)
        usable = {"empty": ((), lambda look: "guide" in look["widgets"]),
                  "with a project of the demo": ((project,), lambda look: idle(look) and "heads" in look["widgets"])}
        for name, (arguments, condition) in usable.items():
            seconds = []
            for number in range(5):
                home = folder / f"{name}-{number}"
                home.mkdir()
                begin = time.monotonic()
                with Studio(display, home, *arguments) as studio:
                    studio.until(condition, "a window that can be used")
                    seconds.append(time.monotonic() - begin)
            table.add(f"start, {name}", STARTS[name], statistics.median(seconds), "s")


def blocks(table, _):
    with tempfile.NamedTemporaryFile("r") as record:
        done = subprocess.run([sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", *sorted(map(str, (ROOT / "tests/e2e").glob("test_studio*.py")))],
                              env={**os.environ, "KVISTA_BLOCKS": record.name}, stdout=sys.stderr, check=False)
        longest = [float(line) for line in record.read().split()]
    if done.returncode != 0 or not longest:
        table.missed += 1
        return table.say("longest block of the window's thread", f"at most {BLOCK} ms", "the tests of the window failed", "NO")
    table.add(f"longest block of the window's thread ({len(longest)} windows)", BLOCK, max(longest), "ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", type=Path, required=True, help="folder of the programs")
    parser.add_argument("--table", type=Path, help="file for the table as well")
    parser.add_argument("--only", nargs="*", default=["frames", "edits", "memory", "start", "blocks"])
    options = parser.parse_args()
    programs = options.bin.resolve()
    os.environ["KVISTA_PROGRAM"] = str(programs / "kvista")
    sys.path.insert(0, str(ROOT / "tests/e2e"))
    table = Table()
    for measure in (frames, edits, memory, start, blocks):
        if measure.__name__ in options.only:
            measure(table, programs)
    if options.table:
        options.table.write_text("\n".join(table.lines) + "\n")
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
