# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The report: one page whose figures are those that the verbs give."""

import json
import re
import struct
from html.parser import HTMLParser

import pytest

from engine import Engine
from program import BAD_INPUT, MODEL, TEXTS, answer, complaint, run

WINDOW = 64
VOID = {"meta", "br", "img", "link"}


class Page(HTMLParser):
    """Figures by id, every tag, and whether each is closed."""

    def __init__(self, text):
        super().__init__()
        self.figures, self.tags, self.open, self.text = {}, set(), [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        attributes = dict(attributes)
        if tag == "data":
            assert attributes["id"] not in self.figures
            self.figures[attributes["id"]] = float(attributes["value"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def planned(tmp_path_factory, coded_project, new_project):
    return new_project(tmp_path_factory.mktemp("report")), coded_project[1]


@pytest.fixture(scope="module")
def page(planned):
    file = planned[0].with_suffix(".html")
    said = answer("report", planned[0], "-o", file)
    assert said == {"report": str(file), "bytes": file.stat().st_size}
    return file.read_text()


def test_figures_are_the_verbs(planned, page):
    figures, said = Page(page).figures, planned[1]
    for name in ("bytesPerToken", "fullBytesPerToken", "requestedBytesPerToken"):
        assert figures[name] == said[name]
    for name in ("timesSmaller", "predictedPerplexity", "basePerplexity"):
        assert figures[name] == pytest.approx(said[name], rel=1e-12)
    assert figures["secondsPerToken"] == said["cost"]["secondsPerToken"]
    assert figures["parameters"] == answer("inspect", MODEL)["parameters"]


def test_figures_are_those_of_window_and_verbs(planned, tmp_path):
    """The engine, which the window asks, --json and the report say the same numbers, for the device, context, batch and
    measure that the window was left with."""
    cost, measure = {"device": "h200", "context": 4096, "batch": 8}, "cka-centred"
    statistics = planned[0].parent / "demo.kvstats"
    options = ["--times-smaller", 8, "--profile", cost["device"], "--context", cost["context"], "--batch", cost["batch"]]
    file = tmp_path / "seen.kvista"
    said = answer("plan", MODEL, "--stats", statistics, "-o", file, *options)
    project = json.loads(file.read_text())
    assert project["view"]["cost"] == cost
    project["view"]["measure"] = measure
    file.write_text(json.dumps(project))
    with Engine() as engine:
        html = engine.call("report", project=file)["html"]  # that of the verb: test_is_the_engines
        project["view"]["measure"] = "cka-sink-free"
        file.write_text(json.dumps(project))
        other = engine.call("report", project=file)["html"]
        inputs = {"model": MODEL, "statistics": statistics}
        wish = {"method": "coded", "target": {"kind": "share", "value": 0.125}, **cost}
        window = engine.call("makePlan", **inputs, wish=wish)["planned"]
        errors = engine.call("planErrors", **inputs, plan=window["plan"])
        spectra = engine.call("layerSpectra", **inputs)
    page = Page(html)
    assert window["plan"] == project["plan"]
    seconds = window["cost"]["secondsPerToken"]
    assert seconds == said["cost"]["secondsPerToken"] == page.figures["secondsPerToken"]
    assert seconds != planned[1]["cost"]["secondsPerToken"]
    assert (page.figures["context"], page.figures["batch"]) == (4096, 8) and "h200" in page.text
    assert window["predictedLoss"] == said["predictedLossRaw"]
    assert window["achievedBytes"] == said["bytesPerToken"] == page.figures["bytesPerToken"]

    shown = answer("errors", file)
    for name, figure in (("keys", "keyError"), ("values", "valueError"), ("logits", "logitError"), ("attentionOutputs", "outputError")):
        numbers = struct.unpack("<64f", errors[name]["data"])
        assert [number for row in shown[name] for number in row] == list(numbers)
        for layer in range(8):
            assert page.figures[f"{figure}{layer}"] == pytest.approx(sum(numbers[8 * layer : 8 * layer + 8]) / 8, rel=1e-12)
    for record, again in zip(spectra, answer("spectra", file)["spectra"], strict=True):
        rank = record["normalisedEffectiveRank"]
        assert rank == again["normalisedEffectiveRank"] == page.figures[f"{record['side']}Rank{record['layer']}"]
        assert list(struct.unpack("<256f", record["singularValues"]["data"])) == again["singularValues"]
    assert measure in page.text and "cka-sink-free" not in page.text
    assert re.findall("<figure>.*?</figure>", other) != re.findall("<figure>.*?</figure>", html)


def test_shows_every_layer_and_group(planned, page):
    shown = Page(page)
    assert page.count("<figure>") == 16  # key and value heads of 8 layers
    assert "spectra of all layers" in shown.text.lower()
    assert len(re.findall(r"<tr><td>\d+</td><td><span", page)) == len(planned[1]["groups"])
    assert planned[1]["fingerprint"] in shown.text


def test_plans_are_drawn_and_said_with_the_verbs_numbers(planned, tmp_path):
    """Quality against bytes: every plan tried, measured where it was, else as predicted, and the front of the best."""
    folder, plans = planned[0].parent, {}
    for name, times in (("larger", 4), ("smaller", 16)):
        plans[name] = answer("plan", MODEL, "--stats", folder / "demo.kvstats", "--times-smaller", times, "-o", tmp_path / f"{name}.kvista")
    measured = answer("compare", MODEL, tmp_path / "smaller.kvista", "--text", TEXTS / "evaluation.txt", "--window", WINDOW, "--windows", 2)
    project = json.loads(planned[0].read_text())
    project["model"]["path"], project["statistics"]["path"] = str(MODEL), str(folder / "demo.kvstats")
    project["notes"] = "Tried on a train."
    for name, said in plans.items():
        tried = json.loads((tmp_path / f"{name}.kvista").read_text())
        project.setdefault("tried", []).append({key: tried[key] for key in ("plan", "requestedBytes", "predictedLoss", "correctedLoss") if key in tried} | {"name": name})
    project["results"] = [{"text": "evaluation.txt", "tokensHash": "0", "planFingerprint": plans["smaller"]["fingerprint"],
                           "perplexityBefore": measured["a"]["perplexity"], "perplexityAfter": measured["b"]["perplexity"]}]
    file = tmp_path / "three.kvista"
    file.write_text(json.dumps(project))
    run("report", file, "-o", tmp_path / "three.html")
    html = (tmp_path / "three.html").read_text()
    page = Page(html)
    assert "Tried on a train." in page.text
    for number, said in enumerate((plans["larger"], plans["smaller"], planned[1])):
        assert page.figures[f"planBytes{number}"] == said["bytesPerToken"]
        assert page.figures[f"planShare{number}"] == pytest.approx(said["bytesPerToken"] / said["fullBytesPerToken"], rel=1e-12)
        assert page.figures[f"planPerplexity{number}"] == pytest.approx(said["predictedPerplexity"], rel=1e-12)
        rise = measured["b"]["perplexity"] / measured["a"]["perplexity"] if number == 1 else said["predictedPerplexity"] / said["basePerplexity"]
        assert page.figures[f"planRise{number}"] == pytest.approx(rise - 1, abs=1e-9)

    plots = re.findall(r'<svg class="wide plot".*?</svg>', html)
    assert [re.search(r'aria-label="(\w+)', plot)[1] for plot in plots] == ["Rise", "Singular", "Singular", "Relative"]
    quality, keys, values, errors = plots
    # A mark a plan, at falling shares from right to left; filled where measured.
    marks = {name: (float(x), fill) for x, fill, name in re.findall(r'<circle cx="([\d.]+)"[^>]*fill="(#\w+)"[^>]*><title>([\w ]+)</title>', quality)}
    assert marks["smaller"][0] < marks["this plan"][0] < marks["larger"][0]
    assert marks["larger"][1] == "#fff" and marks["smaller"][1] != "#fff"
    assert quality.count('r="9"') == 1, "one ring, of this plan"
    for plot in (keys, values):
        assert len(re.findall('stroke-width="1.4"', plot)) == 8, "a line a layer"
    assert len(re.findall('r="2.5"', errors)) == 4 * 8, "four kinds of error, layer by layer"
    assert re.search(r"@media print \{.*\.plot \{ break-inside: avoid", html, re.DOTALL)


def test_is_one_file_without_scripts(page):
    assert not {"script", "link", "img", "iframe", "object"} & Page(page).tags
    assert not re.search(r"""(src|href)=|url\(|@import|https?:""", page)


def test_is_the_engines(planned, page):
    with Engine() as engine:
        assert engine.call("report", project=planned[0])["html"] == page
        # Of a project that its machine has no file of, too.
        content = json.loads(planned[0].read_text())
        content["model"]["path"], content["statistics"]["path"] = str(MODEL), str(planned[0].parent / "demo.kvstats")
        assert engine.call("report", project=planned[0].name, content=content)["html"] == page
        refused = engine.answer(engine.ask("report", project="odd.kvista", content={"format": "kvista-project", "version": 1}))
        assert refused["code"] == "corruptFile" and "odd.kvista" in refused["message"]


def test_escapes_what_a_project_says(planned, tmp_path):
    project = json.loads(planned[0].read_text())
    project["model"]["path"] = str(MODEL)
    project["statistics"]["path"] = str(planned[0].parent / "demo.kvstats")
    project["notes"] = "<script>alert('1')</script> & \"more\""
    project["results"] = [
        {
            "text": "<b>bold</b>",
            "tokensHash": "0",
            "planFingerprint": planned[1]["fingerprint"],
            "perplexityBefore": 30.5,
            "perplexityAfter": 31.25,
        }
    ]
    file = tmp_path / "a<b>&.kvista"
    file.write_text(json.dumps(project))
    run("report", file, "-o", tmp_path / "out.html")
    text = (tmp_path / "out.html").read_text()
    shown = Page(text)
    assert "<script" not in text and "<b>bold" not in text
    assert project["notes"] in shown.text and "<b>bold</b>" in shown.text and "a<b>&" in shown.text
    assert (shown.figures["measuredBefore0"], shown.figures["measuredAfter0"]) == (30.5, 31.25)
    assert "this plan" in shown.text


def test_says_what_is_missing(planned, tmp_path):
    project = json.loads(planned[0].read_text())
    project["model"]["path"] = "/nothing/here"
    file = tmp_path / "lost.kvista"
    file.write_text(json.dumps(project))
    run("report", file, "-o", tmp_path / "lost.html")
    shown = Page((tmp_path / "lost.html").read_text())
    assert "/nothing/here" in shown.text and "left out" in shown.text
    assert shown.figures["bytesPerToken"] == planned[1]["bytesPerToken"]
    assert "figure" not in shown.tags


def test_refuses_what_is_no_project(tmp_path):
    (tmp_path / "a.kvista").write_text("{}")
    assert "not a KVista project" in complaint(run("report", tmp_path / "a.kvista", "-o", tmp_path / "a.html", code=BAD_INPUT))
    assert not (tmp_path / "a.html").exists()
