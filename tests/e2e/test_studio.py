# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The whole flow in a real window, by mouse and keys alone: open, calibrate, regroup, budget, undo, measure, export, reopen."""

import json
import re
import shutil
import subprocess

import pytest

from program import ENVIRONMENT, MODEL, SHARED, answer, run
from studio_window import STUDIO, Display, Studio, idle, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not there: {missing()}")
ALLOWED_BLOCK = 50  # Milliseconds (S27).


@pytest.fixture(scope="module")
def display():
    with Display() as one:
        yield one


def calibrated(studio):
    """The demo model, calibrated on its own text by Ctrl+K and Return."""
    studio.until(lambda look: look["facts"]["open"], "the demo model")
    studio.key("ctrl+k")
    studio.until(lambda look: "calibrateDialog" in look["widgets"], "the dialog")
    studio.key("Return")
    return studio.until(lambda look: idle(look) and look["facts"]["steps"] == 1, "a plan")


def number(text):
    return float(re.search(r"[\d,]+(?:\.\d+)?", text)[0].replace(",", ""))


def test_the_whole_flow(display, tmp_path):
    studio = Studio(display, tmp_path, "--demo")
    try:
        look = calibrated(studio)
        assert look["facts"]["bytesPerToken"] == 1024  # An eighth of 8192.
        first = look["facts"]["fingerprint"]

        # A head dragged into a group of its own is one step; the numbers follow.
        studio.drag(studio.middle("K0"), studio.middle("newGroup"))
        look = studio.until(lambda look: idle(look) and look["facts"]["steps"] == 2, "the regrouped plan")
        regrouped = look["facts"]["fingerprint"]
        assert regrouped != first and look["facts"]["bytesPerToken"] <= 1024

        # So is a drag of the water, however long.
        x, y = studio.middle("waterlineHandle")
        studio.drag((x, y), (x, y + 40), steps=40)
        look = studio.until(lambda look: idle(look) and look["facts"]["steps"] == 3, "the lower water")
        lower = look["facts"]["fingerprint"]
        assert look["facts"]["bytesPerToken"] > 1024

        # Everything is undone and redone, without asking the engine.
        studio.key("ctrl+z", "ctrl+z")
        look = studio.until(lambda look: look["facts"]["undo"] == 1, "undo")
        assert look["facts"]["fingerprint"] == first and not look["facts"]["stale"]
        studio.key("ctrl+shift+z", "ctrl+shift+z")
        look = studio.until(lambda look: look["facts"]["undo"] == 3, "redo")
        assert look["facts"]["fingerprint"] == lower

        # A project, saved with the keyboard.
        project = tmp_path / "demo.kvista"
        studio.key("ctrl+s")
        choose_file(studio, project)
        studio.until(lambda look: not look["facts"]["modified"], "the saved project")
        assert project.exists()

        # Measured on the demo's own text.
        studio.key("ctrl+m")
        studio.until(lambda look: "measureDialog" in look["widgets"], "the dialog")
        studio.key("Return")
        look = studio.until(lambda look: idle(look) and "perplexityAfter" in look["facts"], "the measurement")
        after = look["facts"]["perplexityAfter"]
        assert number(look["facts"]["figures"][2].split("Perplexity")[-1]) == pytest.approx(after, abs=0.006)

        # Exported, and the file says what the window said.
        studio.key("ctrl+s")
        studio.until(lambda look: not look["facts"]["modified"], "the saved project")
        studio.key("ctrl+e")
        studio.until(lambda look: "exportDialog" in look["widgets"], "the dialog")
        studio.until(lambda look: look["facts"]["exportReady"], "the dry run")
        studio.key("Return")
        studio.until(lambda look: look["facts"]["message"].startswith("Exported"), "the export")
        bytes_shown = studio.fact("bytesPerToken")

        block = studio.close()
        assert block is not None and block <= ALLOWED_BLOCK
    finally:
        studio.kill()

    exported = tmp_path / "model-smaller"
    assert json.loads((exported / "kvista-report.json").read_text())["form"] == "latent"
    assert answer("verify", exported)["verified"] is True
    said = answer("evaluate", project, "--text", MODEL.parent / "text" / "evaluation.txt")
    assert said["perplexity"] == pytest.approx(after, rel=1e-5)

    # The project comes back as it was.
    studio = Studio(display, tmp_path, project)
    try:
        look = studio.until(idle, "the reopened project")
        assert look["facts"]["fingerprint"] == lower
        assert look["facts"]["bytesPerToken"] == bytes_shown
        assert look["facts"]["perplexityAfter"] == pytest.approx(after)
    finally:
        studio.kill()


def test_bad_files_are_said_in_the_window(display, tmp_path):
    damaged = tmp_path / "damaged.kvista"
    damaged.write_text('{"format": "kvista-project", "version": 1, "model": 7}')
    studio = Studio(display, tmp_path, damaged)
    try:
        look = studio.until(lambda look: look["facts"]["problems"], "the problem")
        [problem] = look["facts"]["problems"]
        assert str(damaged) in problem["sentence"] and problem["hint"] and problem["path"] == str(damaged)
        assert not look["facts"]["open"]
    finally:
        studio.kill()


def test_an_engine_that_cannot_be_used_is_said(display, tmp_path):
    for command, words in (("/no/such/engine", "cannot be started"), ("/bin/echo nonsense", "")):
        studio = Studio(display, tmp_path, "--engine", command)
        try:
            look = studio.until(lambda look: look["facts"]["problems"], "the problem")
            assert words in look["facts"]["problems"][0]["sentence"]
        finally:
            studio.kill()


def command(studio, words):
    """By the palette, as somebody does who knows the name but not the place."""
    studio.key("ctrl+shift+p")
    studio.until(lambda look: "commandPalette" in look["widgets"], "the palette")
    studio.type(words)
    studio.key("Return")


def choose_file(studio, path):
    studio.until(lambda look: any("QFileDialog" in name for name in look["widgets"]), "the file dialog")
    studio.key("ctrl+a")
    studio.type(path)
    studio.key("Return")
    studio.until(lambda look: not any("QFileDialog" in name for name in look["widgets"]), "the file dialog's end")


def test_statistics_that_are_cut_off_are_said_and_change_nothing(display, tmp_path):
    text, whole, cut = tmp_path / "short.txt", tmp_path / "whole.kvstats", tmp_path / "cut.kvstats"
    text.write_text((MODEL.parent / "text" / "calibration.txt").read_text()[:6000])
    run("calibrate", MODEL, "--text", text, "--window", 64, "-o", whole)
    studio = Studio(display, tmp_path, "--demo")
    try:
        studio.until(lambda look: look["facts"]["open"], "the demo model")
        for count, keep in enumerate((0.5, 0.01), 1):
            cut.write_bytes(whole.read_bytes()[:int(keep * whole.stat().st_size)])
            command(studio, "Open statistics")
            choose_file(studio, cut)
            look = studio.until(lambda look: len(look["facts"]["problems"]) == count, "the problem")
            problem = look["facts"]["problems"][-1]
            assert str(cut) in problem["sentence"] and problem["hint"] and problem["path"] == str(cut)
            assert not look["facts"]["calibrated"] and not look["facts"]["busy"]
        # The window goes on: the whole file is taken.
        command(studio, "Open statistics")
        choose_file(studio, whole)
        studio.until(idle, "the statistics")
    finally:
        studio.kill()


def test_a_calibration_on_an_empty_text_fails_with_its_sentence_and_leaves_nothing(display, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    model = tmp_path / "model"
    shutil.copytree(MODEL, model)  # Not the demo, whose own text is offered.
    studio = Studio(display, tmp_path, model)
    try:
        studio.until(lambda look: look["facts"]["open"], "the model")
        studio.key("ctrl+k")
        studio.until(lambda look: "calibrateDialog" in look["widgets"], "the dialog")
        studio.click("addTextFiles")
        choose_file(studio, empty)
        studio.click("startButton")
        look = studio.until(lambda look: look["facts"]["jobs"] and not look["facts"]["busy"], "the end of the job")
        [job] = look["facts"]["jobs"]
        assert job["state"] == "failed" and "empty.txt" in job["name"] and "0 tokens" in job["sentence"], job
        assert not look["facts"]["calibrated"]
        assert not list(tmp_path.rglob("*.kvstats*"))
    finally:
        studio.kill()


def test_a_click_on_cancel_ends_the_job_and_the_next_one_runs(display, tmp_path):
    studio = Studio(display, tmp_path, "--demo")
    try:
        studio.until(lambda look: look["facts"]["open"], "the demo model")
        studio.key("ctrl+k")
        studio.until(lambda look: "calibrateDialog" in look["widgets"], "the dialog")
        studio.key("Return")
        studio.until(lambda look: look["facts"]["busy"] and "cancelJob" in look["widgets"], "the job in its list")
        studio.click("cancelJob")
        look = studio.until(lambda look: not look["facts"]["busy"], "the end of the job")
        assert [job["state"] for job in look["facts"]["jobs"]] == ["cancelled"]
        assert not look["facts"]["problems"] and not look["facts"]["calibrated"]
        assert not list(tmp_path.rglob("*.kvstats"))  # What was read so far may be kept, under another name.
        look = calibrated(studio)
        assert [job["state"] for job in look["facts"]["jobs"]] == ["succeeded", "succeeded", "cancelled"]
        assert "guide" not in look["widgets"] and "waterlineView" in look["widgets"]
    finally:
        studio.kill()


HOSTILE = SHARED / "fixtures" / "hostile"


@pytest.mark.skipif(not HOSTILE.is_dir(), reason=f"{HOSTILE} is not there")
def test_hostile_checkpoints_are_said_in_the_window(display, tmp_path):
    cases = sorted(path for path in HOSTILE.iterdir() if path.is_dir() and not path.name.startswith("bin-"))
    assert cases
    for case in cases[:: max(1, len(cases) // 12)]:  # A dozen here; every one of them through the engine in test_hostile.
        studio = Studio(display, tmp_path, case)
        try:
            look = studio.until(lambda look: look["facts"]["problems"] or look["facts"]["open"], f"an answer to {case.name}")
            for problem in look["facts"]["problems"]:
                assert problem["sentence"].endswith(".")
        finally:
            studio.kill()


def test_views_are_drawn_without_a_display(tmp_path):
    """Pictures of a project, by its ending; numbers come from the same engine."""
    statistics, project = tmp_path / "demo.kvstats", tmp_path / "demo.kvista"
    text = tmp_path / "short.txt"
    text.write_text((MODEL.parent / "text" / "calibration.txt").read_text()[:6000])
    run("calibrate", MODEL, "--text", text, "--window", 64, "-o", statistics)
    run("plan", MODEL, "--stats", statistics, "--times-smaller", 8, "-o", project)
    environment = {name: value for name, value in ENVIRONMENT.items() if name not in ("DISPLAY", "QT_QPA_PLATFORM")}
    beginnings = {"waterline.svg": b"<?xml", "heads.png": b"\x89PNG", "errors.pdf": b"%PDF"}
    for name, beginning in beginnings.items():
        file = tmp_path / name
        subprocess.run([STUDIO, "--render", name.split(".")[0], "--project", project, "-o", file],
                       env={**environment, "HOME": str(tmp_path)}, check=True, timeout=300)
        assert file.read_bytes().startswith(beginning)
    assert "layer 7" in (tmp_path / "waterline.svg").read_text()

    # Every view is drawn, or says in a sentence what it lacks: whatever the project holds, the program ends.
    def render(view, of):
        done = subprocess.run([STUDIO, "--render", view, "--project", of, "-o", tmp_path / f"{of.stem}-{view}.svg"],
                              env={**environment, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=300)
        assert (done.returncode == 0) == (tmp_path / f"{of.stem}-{view}.svg").exists()
        return done.returncode, done.stderr

    content = json.loads(project.read_text())
    compared, bare = tmp_path / "compared.kvista", tmp_path / "bare.kvista"
    compared.write_text(json.dumps({**content, "tried": [{"name": "as it was", "plan": content["plan"]}]}))
    bare.write_text(json.dumps({name: value for name, value in content.items() if name != "statistics"}))
    for view in ("groups", "plans", "comparison"):
        assert render(view, compared)[0] == 0
    assert "Groups of layer 0" in (tmp_path / "compared-groups.svg").read_text()
    assert "as it was" in (tmp_path / "compared-plans.svg").read_text()
    for view in ("heads", "layers", "waterline", "quality", "spectra", "errors", "comparison"):
        code, said = render(view, bare)
        assert code == 3 and f'"{view}"' in said and "no statistics" in said
    for view in ("groups", "budget"):
        assert render(view, bare)[0] == 0
    for view, words in (("plans", "no plan is kept"), ("try", "without its window")):
        code, said = render(view, project)
        assert code == 3 and words in said
    refused = subprocess.run([STUDIO, "--render", "nothing", "--project", project, "-o", tmp_path / "x.png"],
                             env={**environment, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 3 and "waterline" in refused.stderr
