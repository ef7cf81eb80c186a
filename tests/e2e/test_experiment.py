# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Many methods on one model with one command, stopped and gone on with, and the files that come of it."""

import csv
import json
import math
import signal
import subprocess

import pytest

from program import BAD_INPUT, CANCELLED, ENVIRONMENT, MODEL, PROGRAM, SOURCE, TEXTS, USAGE, answer, complaint, run

CALIBRATION = ["--text", TEXTS / "calibration.txt", "--window", 64, "--windows", 12, "--evaluate-on", TEXTS / "evaluation.txt", "--evaluate-windows", 4]


def test_what_was_stopped_goes_on_and_gives_tables(tmp_path):
    folder = tmp_path / "out"
    command = ["experiment", SOURCE / "resources/experiments/demo.json", MODEL, *CALIBRATION, "-o", folder]
    process = subprocess.Popen([PROGRAM, *map(str, command), "-v"], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    for line in process.stderr:
        if "2 of 8" in line:  # The first plan is measured, the second under way.
            process.send_signal(signal.SIGINT)
            break
    process.stderr.read()
    assert process.wait(60) == CANCELLED
    before = json.loads((folder / "results.json").read_text())["rows"]
    assert 2 <= len(before) < 9 and all("figures" in row for row in before)
    # What there is stands in all files.
    assert (folder / "results.csv").read_text().count("\n") == 1 + len(before)
    assert "| coded-joint |" in (folder / "results.md").read_text() and "coded-joint" in (folder / "results.html").read_text()

    said = answer(*command)
    assert said["rows"][: len(before)] == before and len(said["rows"]) == 9 and said["failed"] == 0
    again = run(*command)
    assert "| coded-joint |" in again.stdout and "measured" not in again.stderr

    with open(folder / "results.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row, figures in zip(rows, (row["figures"] for row in said["rows"]), strict=True):
        assert float(row["perplexity"]) == pytest.approx(math.exp(figures["loss"]))
        assert float(row["loss_rise"]) == pytest.approx(figures["loss"] - figures["originalLoss"])
        assert len(figures["windowLosses"]) >= 2 and ("riseError" in figures) == bool(row["system"])
        error = row["loss_rise_standard_error"]
        assert float(error) == pytest.approx(figures["riseError"]) if row["system"] else error == ""
    shown = (folder / "results.md").read_text()
    assert shown.count("| coded-head |") == 1 and "0.1875 of the bytes" in shown
    assert "evaluation (" in shown
    page = (folder / "results.html").read_text()
    assert "coded-head" in page and "<svg" in page and "script" not in page

    # The same figures as by hand.
    project = tmp_path / "p.kvista"
    run("plan", MODEL, "--stats", folder / "statistics.kvstats", "--method", "joint", "--share", 0.25, "-o", project)
    alone = answer("evaluate", project, "--text", TEXTS / "evaluation.txt", "--window", 64, "--windows", 4)["meanNll"]
    row, = (row for row in said["rows"] if row["system"] == "joint" and row["target"]["value"] == 0.25)
    assert row["figures"]["loss"] == pytest.approx(alone, abs=1e-5)

    # Another experiment in the same folder leaves what this one measured.
    specification = json.loads((SOURCE / "resources/experiments/demo.json").read_text())
    del specification["sweeps"][0]["systems"][1:]
    (tmp_path / "one.json").write_text(json.dumps(specification))
    assert len(answer(command[0], tmp_path / "one.json", *command[2:])["rows"]) == 3
    assert answer(*command)["rows"] == said["rows"]  # The seconds that it took among them.

    # Where nothing can be measured, the program says so, too.
    impossible = {"name": "impossible", "plan": {"method": "joint", "target": {"kind": "share", "value": 1e-6}}}
    specification["sweeps"][0]["systems"] = [impossible]
    (tmp_path / "none.json").write_text(json.dumps(specification))
    said = complaint(run(command[0], tmp_path / "none.json", *command[2:], code=USAGE))
    assert "Of 2 rows of the experiment none could be measured" in said
    assert "| impossible | failed | failed |" in (folder / "results.md").read_text()

    for damaged, words in (("[]", "results.json does not hold results"), ('{"rows": [', "results.json is not valid JSON")):
        (folder / "results.json").write_text(damaged)
        said = complaint(run(*command, code=BAD_INPUT))
        assert words in said and "Move it away" in said
    said = complaint(run(*command[:3], "--stats", folder / "statistics.kvstats", "--window", 64, "-o", folder, code=USAGE))
    assert "--stats" in said and "--window" in said
