# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Try and Compare in a real window with a real engine: a prompt on both sides, two plans."""

import csv
import re

import pytest

from program import answer
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
