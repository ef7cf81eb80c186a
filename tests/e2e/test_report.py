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
def planned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    text = folder / "short.txt"
    text.write_text((TEXTS / "calibration.txt").read_text()[:6000])
    run("calibrate", MODEL, "--text", text, "--window", WINDOW, "-o", folder / "demo.kvstats")
    said = answer("plan", MODEL, "--stats", folder / "demo.kvstats", "--times-smaller", 8, "-o", folder / "demo.kvista")
    return folder / "demo.kvista", said


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
    run("report", file, "-o", tmp_path / "seen.html")
    html = (tmp_path / "seen.html").read_text()
    page = Page(html)
    with Engine() as engine:
        inputs = {"model": MODEL, "statistics": statistics}
        wish = {"method": "coded", "target": {"kind": "share", "value": 0.125}, **cost}
        window = engine.call("makePlan", **inputs, wish=wish)["planned"]
        errors = engine.call("planErrors", **inputs, plan=window["plan"])
        spectra = engine.call("layerSpectra", **inputs)
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
    project["view"]["measure"] = "cka-sink-free"
    file.write_text(json.dumps(project))
    run("report", file, "-o", tmp_path / "other.html")
    other = (tmp_path / "other.html").read_text()
    assert re.findall("<figure>.*?</figure>", other) != re.findall("<figure>.*?</figure>", html)


def test_shows_every_layer_and_group(planned, page):
    shown = Page(page)
    assert page.count("<figure>") == 16  # key and value heads of 8 layers
    assert "spectra of all layers" in shown.text.lower()
    assert len(re.findall(r"<tr><td>\d+</td><td><span", page)) == len(planned[1]["groups"])
    assert planned[1]["fingerprint"] in shown.text


def test_is_one_file_without_scripts(page):
    assert not {"script", "link", "img", "iframe", "object"} & Page(page).tags
    assert not re.search(r"""(src|href)=|url\(|@import|https?:""", page)


def test_is_the_engines(planned, page):
    with Engine() as engine:
        assert engine.call("report", project=planned[0])["html"] == page


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
