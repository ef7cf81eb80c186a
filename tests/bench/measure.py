# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the steps of figures.py and prints what was asked and what was reached as a Markdown table.

Answers are kept in the work folder: an interrupted run goes on where it stopped, a changed program or step is measured
anew. Exit status: 0 if every measured figure holds, 1 if not.
"""

import argparse
import fnmatch
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import figures


class NotMeasured(Exception):
    """Something that a step needs is not there; the text says what."""


class Runner:
    def __init__(self, program, work, places, device):
        self.program, self.work, self.places, self.device = program, work, places, device
        self.version = hashlib.sha256(program.read_bytes()).hexdigest()
        self.answers = {}

    def answer(self, name):
        """The --json answer of a step, from this run or an earlier one of the same program."""
        if name not in self.answers:
            try:
                self.answers[name] = self.run(name)
            except NotMeasured as reason:
                self.answers[name] = reason
        if isinstance(self.answers[name], NotMeasured):
            raise self.answers[name]
        return self.answers[name]

    def folder(self, name):
        return self.work / re.sub(r"[^\w.-]+", "-", name)

    def place(self, match):
        name = match[1]
        if name in figures.STEPS:
            self.answer(name)
            return str(self.folder(name) / figures.STEPS[name].output)
        if not self.places.get(name) or not self.places[name].exists():
            raise NotMeasured(f"{name} is not there")
        return str(self.places[name])

    def run(self, name):
        step = figures.STEPS[name]
        if step.gpu and self.device == "cpu":
            raise NotMeasured("hours on a CPU: give --device cuda")
        folder = self.folder(name)
        arguments = [re.sub(r"\{([^}]+)\}", self.place, argument) for argument in step.arguments]
        for argument in arguments:
            if argument.startswith("/") and not Path(argument).exists():
                raise NotMeasured(f"{argument} is not there")
        command = [*arguments, "--device", self.device, "--json", *(["-o", str(folder / step.output)] if step.output else [])]
        record, wanted = folder / "answer.json", {"command": command, "program": self.version}
        if record.exists() and (known := json.loads(record.read_text()))["of"] == wanted:
            return known["answer"]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"... {name}: kvista {' '.join(command)}", file=sys.stderr)
        begin = time.monotonic()
        with open(folder / "stdout", "w+", encoding="utf-8") as stdout:
            process = subprocess.Popen([self.program, *command], stdout=stdout)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            seconds = time.monotonic() - begin
            stdout.seek(0)
            text = stdout.read()
        if process.returncode != 0:
            raise NotMeasured(f"kvista {arguments[0]} ended with exit status {process.returncode}")
        answer = json.loads(text) | {"run.seconds": round(seconds, 1), "run.peakMegabytes": usage.ru_maxrss // 1024}
        record.write_text(json.dumps({"of": wanted, "answer": answer}))
        return answer

    def value(self, step, field):
        value = self.answer(step)
        for part in [field] if field in value else field.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if not isinstance(value, (int, float)):
            raise NotMeasured(f"the answer has no number '{field}'")
        return value


def row(runner, figure):
    """(Markdown cells, whether the figure holds; None if it could not be measured)."""
    asked = figure.asked
    try:
        reached = runner.value(figure.step, figure.field)
        if figure.base:
            reached = runner.value(figure.base, "perplexity") * math.exp(reached)
        if isinstance(asked, tuple):
            asked = runner.value(*asked)
    except NotMeasured as reason:
        return [figure.name, "" if isinstance(asked, tuple) else f"{asked:g}", f"not measured: {reason}", ""], None
    if figure.tolerance is None:
        holds, wording = reached <= asked, f"at most {asked:g}"
    else:
        holds = abs(reached - asked) <= figure.tolerance * abs(asked)
        wording = f"{asked:.6g} within {figure.tolerance * 100:g} %"
    return [figure.name, wording, f"{reached:.6g}", "yes" if holds else "NO"], holds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for outputs and answers")
    parser.add_argument("--shared", type=Path, required=True, help="folder with models/ and data/")
    parser.add_argument("--demo", type=Path, required=True)
    parser.add_argument("--smollm2", type=Path, help="GGUF file of SmolLM2")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--only", default="*", help="figures whose name matches, as in '*joint*'")
    options = parser.parse_args()
    places = {"models": options.shared / "models", "data": options.shared / "data", "demo": options.demo,
              "smollm2": options.smollm2}
    runner = Runner(options.program.resolve(), options.work.resolve(),
                    {name: place and place.resolve() for name, place in places.items()}, options.device)
    rows = [row(runner, figure) for figure in figures.FIGURES if fnmatch.fnmatch(figure.name, options.only)]
    table = ["| figure | asked | reached | holds |", "|---|---|---|---|"] + ["| " + " | ".join(cells) + " |" for cells, _ in rows]
    print("\n".join(table))
    (options.work / "figures.md").write_text("\n".join(table) + "\n")
    missed, missing = ([cells for cells, holds in rows if holds is state] for state in (False, None))
    print(f"{len(rows)} figures: {len(rows) - len(missed) - len(missing)} hold, {len(missed)} do not, "
          f"{len(missing)} could not be measured", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
