# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Try and Compare in a real window with a real engine: a prompt on both sides, two plans, two projects."""

import csv
import re

import pytest

from program import MODEL, answer, run
from studio_window import Studio, idle, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not there: {missing()}")


def amounts(facts):
    """Tokens and bytes of "74 tokens · 75.8 kB cache"; the bytes as exactly as they are said."""
    tokens, size, unit = re.match(r"([\d,]+) tokens · ([\d.]+) (bytes|kB|MB) cache", facts).groups()
    each = {"bytes": 1, "kB": 1e3, "MB": 1e6}[unit]
    return int(tokens.replace(",", "")), pytest.approx(float(size) * each, abs=0.051 * each)


def file_of(studio, keys, path):
    """The dialog of files that an action opens is answered with a path."""
    if keys:
        studio.key(*keys)
    studio.until(lambda look: any("QFileDialog" in name for name in look["widgets"]), "the file dialog")
    studio.key("ctrl+a")
    studio.type(str(path))
    studio.key("Return")
    studio.until(lambda look: not any("QFileDialog" in name for name in look["widgets"]), "the file dialog's end")


def table(studio, panel, file):
    """What a panel shows, by the keyboard: F6 to it, then Ctrl+Shift+E."""
    for _ in range(20):
        if studio.until(lambda look: True, "the window")["facts"]["keyboardIn"] == panel:
            break
        before = studio.fact("keyboardIn")
        studio.key("F6")
        studio.until(lambda look: look["facts"]["keyboardIn"] != before, "the next panel")
    assert studio.fact("keyboardIn") == panel
    file_of(studio, ["ctrl+shift+e"], file)
    studio.until(lambda look: str(file) in look["facts"]["message"], "the table")
    with open(file, newline="", encoding="utf-8") as lines:
        return list(csv.reader(lines))


def test_a_prompt_is_gone_on_with_on_both_sides(display, project, tmp_path):
    with Studio(display, tmp_path, project) as studio:
        studio.until(idle, "the project")
        studio.key("ctrl+4")
        studio.until(lambda look: "prompt" in look["widgets"], "the layout Try")
        studio.click("prompt")
        studio.type("Emma Woodhouse, handsome, clever")
        studio.click("generate")
        look = studio.until(lambda look: idle(look) and look["texts"].get("planRemark"), "both texts")
        (tokens, before), (others, after) = amounts(look["texts"]["originalFacts"]), amounts(look["texts"]["planFacts"])
        said = answer("generate", project, "--prompt", "Emma Woodhouse, handsome, clever", "--tokens", 128)
        original, plan = said["original"], said["plan"]
        assert (tokens, others) == (original["tokens"], plan["tokens"])
        # 8 layers of 8 heads, keys and values of 32 numbers in 16 bits; the plan's cache as its codes take.
        assert original["cacheBytes"] == tokens * 8192
        assert original["cacheBytes"] == before and plan["cacheBytes"] == after
        ratio = (original["cacheBytes"] / tokens) / (plan["cacheBytes"] / others)
        assert float(look["texts"]["planRemark"].split()[0]) == pytest.approx(ratio, abs=0.06) and ratio > 4


def test_two_plans_are_compared_number_by_number(display, project, tmp_path):
    with Studio(display, tmp_path, project) as studio:
        first = studio.until(idle, "the project")["facts"]["bytesPerToken"]
        # What was measured is kept for comparison.
        studio.key("ctrl+m")
        studio.until(lambda look: "measureDialog" in look["widgets"], "the dialog")
        studio.enter("windows", 1)
        studio.key("Return")
        studio.until(lambda look: idle(look) and "perplexityAfter" in look["facts"], "the measurement")
        studio.key("ctrl+t")
        studio.key("ctrl+a")
        studio.type("16")
        studio.key("Return")
        second = studio.until(lambda look: idle(look) and look["facts"]["bytesPerToken"] < first, "the smaller plan")["facts"]["bytesPerToken"]
        studio.key("ctrl+3")
        header, *rows = table(studio, "plans", tmp_path / "plans.csv")
        assert [row[0] for row in rows] == [str(layer) for layer in range(8) for _ in range(16)]
        for row in rows:
            assert float(row[4]) == pytest.approx(float(row[3]) - float(row[2]), abs=1e-6)
        # Bits a number, of 32 numbers a head: together they are the bytes of either plan.
        sums = [sum(float(row[column]) for row in rows) * 32 / 8 for column in (2, 3)]
        assert sorted(sums) == pytest.approx(sorted([first, second]), rel=0.02), header


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The same model, calibrated on other words, by another method and twice as large."""
    folder = tmp_path_factory.mktemp("other")
    text = folder / "other.txt"
    text.write_text((MODEL.parent / "text" / "evaluation.txt").read_text()[:2500])
    run("calibrate", MODEL, "--text", text, "--window", 64, "--windows", 6, "--no-gradients", "-o", folder / "other.kvstats")
    run("plan", MODEL, "--stats", folder / "other.kvstats", "--method", "svd", "--times-smaller", 4, "-o", folder / "other.kvista")
    return folder / "other.kvista"


def matrix(statistics, measure):
    return answer("similarity", MODEL, "--stats", statistics, "--layer", 0, "--side", "k", "--measure", measure)["matrix"]


def test_two_projects_are_compared_head_by_head_and_plan_by_plan(display, project, other, tmp_path):
    with Studio(display, tmp_path, project) as studio:
        mine = studio.until(idle, "the project")["facts"]["bytesPerToken"]
        studio.key("ctrl+shift+p")
        studio.until(lambda look: "commandPalette" in look["widgets"], "the palette")
        studio.type("Compare with another")
        studio.key("Return")
        file_of(studio, [], other)
        look = studio.until(lambda look: look["facts"]["compared"], "the other project")
        assert look["facts"]["layout"] == "compare" and not look["facts"]["problems"]
        assert look["facts"]["bytesPerToken"] == mine, "nothing of the open one changes"

        # Heads: keys of the first layer, both and their difference, as `similarity` says them.
        studio.until(idle, "the heads of the other")
        header, *rows = table(studio, "comparison", tmp_path / "heads.csv")
        assert header[2:] == ["demo · layer 0", "other · layer 0", "Difference"]
        ours, theirs = (matrix(file.with_suffix(".kvstats"), look["facts"]["measure"]) for file in (project, other))
        assert len(rows) == 64 and ours != theirs
        for head, second, a, b, difference in rows:
            i, j = int(head[1:]), int(second[1:])
            assert float(a) == pytest.approx(ours[i][j], abs=1e-6) and float(b) == pytest.approx(theirs[i][j], abs=1e-6)
            assert float(difference) == pytest.approx(float(b) - float(a), abs=1e-6)

        # Plans: the other's is offered beside this one, and is twice as large.
        _, *rows = table(studio, "plans", tmp_path / "plans.csv")
        sums = [sum(float(row[column]) for row in rows) * 32 / 8 for column in (2, 3)]
        assert sorted(sums) == pytest.approx([mine, 2 * mine], rel=0.05)
