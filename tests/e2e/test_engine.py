# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's process as a window uses it, and its numbers beside those of the verbs."""

import json
import signal
import struct

import pytest

from engine import Engine
from program import BAD_INPUT, DONE, MODEL, TEXTS, answer, run

WINDOW = 64


def selection(file, windows=0):
    return {"paths": [str(file)], "window": WINDOW, "windows": windows, "skipWindows": 0, "beginWithBos": False}


@pytest.fixture(scope="module")
def engine():
    with Engine() as one:
        yield one


@pytest.fixture(scope="module")
def statistics(engine, text, tmp_path_factory):
    file = tmp_path_factory.mktemp("statistics") / "engine.kvstats"
    record = engine.call("calibrate", model=MODEL, text=selection(text), gradients=True, output=file)
    return file, record


WISH = {"method": "coded", "target": {"kind": "share", "value": 0.125}, "device": "h200", "context": 16384, "batch": 1}


@pytest.fixture(scope="module")
def planned(engine, statistics):
    return engine.call("makePlan", model=MODEL, statistics=statistics[0], wish=WISH)["planned"]


def test_opens_what_inspect_shows(engine):
    model = engine.call("open", path=MODEL)
    shown = answer("inspect", MODEL)
    for field in ("family", "layers", "queryHeads", "kvHeads", "headDim", "hiddenSize", "vocabulary", "parameters"):
        assert model["shape"][field] == shown[field]
    assert model["problems"] == shown["problems"]


def test_calibrates_as_the_verb_does(statistics, calibrated, tmp_path):
    file, said = calibrated
    assert (statistics[1]["tokens"], statistics[1]["windows"]) == (said["tokens"], said["windows"])
    # The engine's file serves the verbs and the other way round.
    by_engine = answer("plan", MODEL, "--stats", statistics[0], "--times-smaller", 8, "-o", tmp_path / "a.kvista")
    by_verb = answer("plan", MODEL, "--stats", file, "--times-smaller", 8, "-o", tmp_path / "b.kvista")
    assert by_engine["predictedLossRaw"] == pytest.approx(by_verb["predictedLossRaw"], rel=1e-6)


def test_plans_and_measures_the_verbs_numbers(engine, statistics, planned, tmp_path):
    project = tmp_path / "demo.kvista"
    said = answer("plan", MODEL, "--stats", statistics[0], "--times-smaller", 8, "-o", project)
    assert planned["achievedBytes"] == said["bytesPerToken"]
    assert planned["requestedBytes"] == said["requestedBytesPerToken"]
    assert planned["predictedLoss"] == said["predictedLossRaw"]
    assert planned.get("correctedLoss", planned["predictedLoss"]) == said["predictedLoss"]
    assert planned["waterline"] == said["waterline"]
    assert planned["cost"]["secondsPerToken"] == said["cost"]["secondsPerToken"]
    assert planned["plan"] == json.loads(project.read_text())["plan"]

    evaluation = TEXTS / "evaluation.txt"
    measured = engine.call("evaluate", model=MODEL, statistics=statistics[0], plan=planned["plan"], text=selection(evaluation, 4))
    options = ["--text", evaluation, "--window", WINDOW, "--windows", 4]
    assert measured["perplexityBefore"] == answer("evaluate", MODEL, *options)["perplexity"]
    assert measured["perplexityAfter"] == answer("evaluate", project, *options)["perplexity"]


def test_shows_the_verbs_similarities(engine, statistics):
    for record in engine.call("similarity", model=MODEL, statistics=statistics[0], measure="cka", layers=[3]):
        said = answer("similarity", MODEL, "--stats", statistics[0], "--layer", 3, "--side", record["side"][0])["matrix"]
        packed = record["matrix"]
        assert packed["type"] == "float32" and packed["shape"] == [8, 8]
        values = struct.unpack("<64f", packed["data"])
        assert values == pytest.approx([each for row in said for each in row], abs=1e-6)


def test_exports_the_verbs_bytes(engine, statistics, planned, tmp_path):
    project = tmp_path / "demo.kvista"
    answer("plan", MODEL, "--stats", statistics[0], "--times-smaller", 8, "-o", project)
    answer("export", project, "-o", tmp_path / "verb")
    record = engine.call("export", model=MODEL, statistics=statistics[0], plan=planned["plan"], form="latent", target=tmp_path / "engine")
    assert record["verified"]
    name = "model.safetensors"
    assert (tmp_path / "engine" / name).read_bytes() == (tmp_path / "verb" / name).read_bytes()


@pytest.mark.parametrize("threads, device", [(1, "CPU, 1 core"), (2, "CPU, 2 cores")])
def test_says_what_it_computes_on(threads, device):
    with Engine("--threads", str(threads)) as one:
        assert one.call("hello")["device"] == device


def test_ends_with_its_input():
    with Engine() as one:
        assert one.call("hello")["program"] == "kvista"
        assert one.end() == DONE
        assert one.process.stderr.read() == b""


def test_ends_on_a_signal_while_it_works(tmp_path):
    with Engine() as one:
        request = one.ask("calibrate", model=MODEL, text=selection(TEXTS / "calibration.txt"), output=tmp_path / "a.kvstats")
        one.await_progress(request)
        one.process.send_signal(signal.SIGTERM)
        assert one.answer(request)["code"] == "cancelled"
        # Work that sits in one long library call is left where it is.
        assert one.process.wait(timeout=60) in (DONE, 130)
    assert list(tmp_path.iterdir()) == []


def test_dies_without_leaving_half_a_file(tmp_path, text):
    output = tmp_path / "a.kvstats"
    with Engine() as one:
        request = one.ask("calibrate", model=MODEL, text=selection(TEXTS / "calibration.txt"), output=output)
        one.await_progress(request)
        one.process.kill()
        one.process.wait(timeout=60)
    assert {file.name for file in tmp_path.iterdir()} <= {"a.kvstats.partial"}
    with Engine() as another:
        assert another.call("calibrate", model=MODEL, text=selection(text, 4), output=output)["windows"] == 4
    assert [file.name for file in tmp_path.iterdir()] == ["a.kvstats"]


def test_says_that_a_stream_is_broken():
    with Engine() as one:
        one.send(b"\x03\x00\x00\x00abc")
        message = one.receive()
        assert message["id"] is None and message["error"]["code"] == "corruptFile"
        assert one.receive() is None
        assert one.process.wait(timeout=60) == BAD_INPUT


def test_keeps_frames_and_people_apart(tmp_path):
    # Whatever goes wrong inside, standard output is frames and nothing else: a text of the verb would break the first.
    done = run("engine", "--help")
    assert "protocol.md" in done.stdout
    with Engine("--device", "toaster") as one:
        assert one.call("hello")["device"] == "toaster"
        error = one.answer(one.ask("verify", path=tmp_path))
        assert error["code"] == "invalidArgument" and "toaster" in error["message"]
        assert one.end() == DONE
