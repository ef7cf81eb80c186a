# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""What a real window shows, what the verbs say with --json, and what the report says are the same numbers."""

import shutil

import pytest

from program import MODEL, TEXTS, answer, run
from studio_window import Studio, idle, missing
from test_report import Page
from test_studio_compare import file_of, table
from test_studio import command

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not there: {missing()}")


def test_window_json_and_report_say_the_same(display, project, tmp_path):
    for file in (project, project.with_suffix(".kvstats")):
        shutil.copy(file, tmp_path)
    statistics, project = tmp_path / "demo.kvstats", tmp_path / "demo.kvista"
    said = answer("plan", MODEL, "--stats", statistics, "--times-smaller", 8, "-o", project)
    with Studio(display, tmp_path, project) as studio:
        facts = studio.until(idle, "the project")["facts"]
        assert facts["bytesPerToken"] == said["bytesPerToken"]
        assert facts["predictedPerplexity"] == pytest.approx(said["predictedPerplexity"], rel=1e-12)
        budget = table(studio, "budget", tmp_path / "budget.csv")
        studio.key("ctrl+m")
        studio.until(lambda look: "measureDialog" in look["widgets"], "the dialog")
        studio.enter("window", 64)
        studio.enter("windows", 2)
        studio.key("Return")
        measured = studio.until(lambda look: idle(look) and "perplexityAfter" in look["facts"], "the measurement")["facts"]["perplexityAfter"]
        heads = table(studio, "heads", tmp_path / "heads.csv")  # Its numbers came meanwhile.
        studio.key("ctrl+s")
        studio.until(lambda look: not look["facts"]["modified"], "the saved project")
        command(studio, "Write a report")
        file_of(studio, [], tmp_path / "window.html")
        studio.until(lambda look: "window.html" in look["facts"]["message"], "the report")
        studio.close()

    # The report of the window is that of the verb, byte for byte, and says the same.
    run("report", project, "-o", tmp_path / "verb.html")
    assert (tmp_path / "window.html").read_text() == (tmp_path / "verb.html").read_text()
    page = Page((tmp_path / "window.html").read_text()).figures
    assert page["bytesPerToken"] == said["bytesPerToken"]
    assert page["predictedPerplexity"] == pytest.approx(facts["predictedPerplexity"], rel=1e-12)
    assert page["secondsPerToken"] == said["cost"]["secondsPerToken"]
    assert page["measuredAfter0"] == measured
    again = answer("evaluate", project, "--text", TEXTS / "evaluation.txt", "--window", 64, "--windows", 2)
    assert measured == pytest.approx(again["perplexity"], rel=1e-6)

    # Heads of layer 0's keys, and every group of the plan.
    matrix = answer("similarity", MODEL, "--stats", statistics, "--layer", 0, "--side", "k", "--measure", "cka-sink-free")["matrix"]
    order = [int(name[1:]) for name in heads[0][1:]]
    assert sorted(order) == list(range(8))
    for head, (name, *values) in zip(order, heads[1:], strict=True):
        assert name == f"K{head}"
        assert [float(value) for value in values] == pytest.approx([matrix[head][other] for other in order], abs=1e-6)
    column = {name: budget[0].index(name) for name in ("Layer", "Rank", "Bytes a token", "Predicted loss")}
    for row, group in zip(budget[1:], said["groups"], strict=True):
        assert [int(row[column[name]]) for name in ("Layer", "Rank", "Bytes a token")] == [group["layer"], group["rank"], group["bytesPerToken"]]
    assert sum(float(row[column["Predicted loss"]]) for row in budget[1:]) == pytest.approx(said["predictedLossRaw"], rel=1e-6)
