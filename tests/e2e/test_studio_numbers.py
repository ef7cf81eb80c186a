# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""What a real window shows, what the verbs say with --json, and what the report says are the same numbers."""

import json
import re
import shutil

import pytest

from program import MODEL, TEXTS, answer, run
from studio_window import Studio, idle, missing
from test_report import Page
from test_studio_compare import file_of, table
from test_studio import command

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not there: {missing()}")


def test_window_json_and_report_say_the_same(display, coded_project, new_project, tmp_path):
    project, said = new_project(tmp_path), coded_project[1]
    statistics = project.with_suffix(".kvstats")
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


def shown(value, decimals):
    return f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def signed(value, decimals):
    return ("\N{MINUS SIGN}" if value < 0 else "+") + f"{abs(value):.{decimals}f}"


def mean(table):
    values = [value for row in table for value in row]
    return sum(values) / len(values)


def test_losses_and_retrieval_in_the_window_are_those_of_the_verbs(display, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(MODEL, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 256}))  # No longer texts are asked.
    statistics, project = tmp_path / "demo.kvstats", tmp_path / "demo.kvista"
    text = tmp_path / "short.txt"
    text.write_text((TEXTS / "calibration.txt").read_text()[:6000])
    run("calibrate", model, "--text", text, "--window", 64, "--no-response", "-o", statistics)
    run("plan", model, "--stats", statistics, "--times-smaller", 16, "-o", project)
    prompt = "Emma Woodhouse, handsome, clever"
    said = answer("losses", project, "--words", prompt)
    asked = answer("retrieval", project)
    assert len(said["pieces"]) == said["predictions"] + 1 and len(asked["lengths"]) > 1

    with Studio(display, tmp_path, project) as studio:
        studio.until(idle, "the project")
        studio.key("ctrl+4")
        studio.until(lambda look: "prompt" in look["widgets"], "the layout Try")
        studio.click("prompt")
        studio.type(prompt)
        studio.click("measureTokens")
        means = studio.until(lambda look: look["texts"].get("tokenMeans"), "the losses")["texts"]["tokenMeans"]
        change = said["meanAfter"] - said["meanBefore"]
        assert means == (f"mean {shown(said['meanBefore'], 3)} → {shown(said['meanAfter'], 3)} nats ({signed(change, 3)}) · "
                         f"total {signed(change * said['predictions'], 2)} over {said['predictions']} tokens")

        # Token by token, as the keyboard walks over them.
        studio.click("tokenText")
        moved = 0
        for piece, before, after in zip(said["pieces"], said["before"], said["after"], strict=True):
            if before is None:
                words = f"“{piece}”: the first token is not predicted"
            else:
                words = f"“{piece}”: original {shown(before, 3)}, plan {shown(after, 3)}, {signed(after - before, 3)} nats"
            studio.key(*["Right"] * moved or ["ctrl+Home"])
            studio.until(lambda look, words=words: look["texts"].get("tokenFacts") == words, words, patience=30)
            moved = len(piece)

        # Retrieval, cell by cell.
        studio.click("showRetrieval")
        studio.until(lambda look: "testRetrieval" in look["widgets"], "the test of retrieval")
        studio.click("testRetrieval")
        studio.until(lambda look: "retrievalDialog" in look["widgets"], "the dialog")
        studio.key("Return")
        look = studio.until(lambda look: look["texts"].get("retrievalFacts"), "the tables")
        for table, side in (("retrievalOfOriginal", "original"), ("retrievalOfPlan", "plan")):
            cells = [[re.sub(r"\s", " ", cell) for cell in row.split("\t")] for row in look["texts"][table].split("\n")]
            assert cells == [[f"{100 * found:.0f} % {shown(loss, 2)}" for found, loss in zip(*rows, strict=True)]
                             for rows in zip(asked[side]["found"], asked[side]["loss"], strict=True)]
            assert len(cells) == len(asked["depths"]) and len(cells[0]) == len(asked["lengths"])
        original, plan = asked["original"], asked["plan"]
        assert re.sub(r"\s", " ", look["texts"]["retrievalFacts"]) == (
            f"one number: found {100 * mean(original['found']):.0f} % → {100 * mean(plan['found']):.0f} % · "
            f"mean {shown(mean(original['loss']), 2)} → {shown(mean(plan['loss']), 2)} nats")
        assert original["loss"] != plan["loss"]
