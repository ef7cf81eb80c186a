# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The whole flow in a real window, by mouse and keys alone: open, calibrate, regroup, budget, undo, measure, export, reopen."""

import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from program import BAD_INPUT, DONE, ENVIRONMENT, MODEL, SHARED, answer, run
from studio_window import STUDIO, Studio, idle, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not there: {missing()}")
LAYOUTS = ["ctrl+1", "ctrl+2", "ctrl+3", "ctrl+4"]


# Of the 340 such windows of the demo's text. On what is left behind those that are used the engine measures how the loss responds to
# six plans, which takes longer than everything else.
LITTLE = {"window": 64, "skipWindows": 320}


def calibrate(studio, windows, **fields):
    """Ctrl+K on the demo's text, no more than these windows of it."""
    studio.until(lambda look: look["facts"]["open"], "the demo model")
    studio.key("ctrl+k")
    studio.until(lambda look: "calibrateDialog" in look["widgets"], "the dialog")
    for name, value in {"windows": windows, **fields}.items():
        studio.enter(name, value)
    studio.key("Return")


def calibrated(studio):
    """The demo model, calibrated on a little of its own text; on all of it in test_studio_input.py."""
    calibrate(studio, 8, **LITTLE)
    return studio.until(lambda look: idle(look) and look["facts"]["steps"] == 1, "a plan")


def number(text):
    return float(re.search(r"[\d,]+(?:\.\d+)?", text)[0].replace(",", ""))


def test_the_whole_flow(display, tmp_path):
    with Studio(display, tmp_path, "--demo") as studio:
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
        studio.enter("window", 256)
        studio.enter("windows", 4)
        studio.key("Return")
        look = studio.until(lambda look: idle(look) and "perplexityAfter" in look["facts"], "the measurement")
        after = look["facts"]["perplexityAfter"]
        assert number(look["facts"]["figures"][2].split("Perplexity")[-1]) == pytest.approx(after, abs=0.006)

        # Exported, and the file says what the window said.
        studio.key("ctrl+s")
        studio.until(lambda look: not look["facts"]["modified"], "the saved project")
        studio.export()
        bytes_shown = studio.fact("bytesPerToken")

        studio.close()

    exported = tmp_path / "model-smaller"
    assert json.loads((exported / "kvista-report.json").read_text())["form"] == "latent"
    assert answer("verify", exported)["verified"] is True
    said = answer("evaluate", project, "--text", MODEL.parent / "text" / "evaluation.txt", "--window", 256, "--windows", 4)
    assert said["perplexity"] == pytest.approx(after, rel=1e-5)

    # The project comes back as it was.
    with Studio(display, tmp_path, project) as studio:
        look = studio.until(idle, "the reopened project")
        assert look["facts"]["fingerprint"] == lower
        assert look["facts"]["bytesPerToken"] == bytes_shown
        assert look["facts"]["perplexityAfter"] == pytest.approx(after)


def half_way(look):
    """A job runs, says how far it is and how long it will take, and can be cancelled."""
    return "cancelJob" in look["widgets"] and re.search(r"^\d+ % · .+ · .+ left$", look["texts"].get("runningProgress", ""))


def test_the_first_calibration_says_how_far_it_is_and_is_cancelled_by_a_click(display, tmp_path):
    with Studio(display, tmp_path, "--demo") as studio:
        calibrate(studio, 0)
        look = studio.until(half_way, "progress")
        assert "guide" in look["widgets"]
        assert look["texts"]["runningJob"] == "Calibrate on calibration.txt"
        studio.click("cancelJob")
        look = studio.until(lambda look: not look["facts"]["busy"] and "cancelJob" not in look["widgets"], "the end of the job")
        assert not look["facts"]["calibrated"] and look["facts"]["problems"] == []
        assert "guide" in look["widgets"] and "problemBar" not in look["widgets"]
        # Sums that the same calibration could go on from may stay; statistics that are half done may not.
        assert [file for file in (tmp_path / "data").rglob("*") if file.is_file() and "statistics" in str(file) and file.suffix != ".partial"] == []


def test_a_failed_calibration_is_said_in_the_window_until_it_is_dismissed(display, tmp_path):
    with Studio(display, tmp_path, "--demo") as studio:
        calibrate(studio, 0, skipWindows=99999)
        look = studio.until(lambda look: "problemBar" in look["widgets"], "the failure")
        assert "guide" in look["widgets"], "where the person is"
        assert look["texts"]["problemTitle"] == "Calibrate on calibration.txt failed"
        assert "99999" in look["texts"]["problemSentence"].replace(",", "") and look["texts"]["problemSentence"].endswith(".")
        assert look["texts"]["problemHint"] and "continueJob" not in look["widgets"]
        [problem] = look["facts"]["problems"]
        assert problem["sentence"] == look["texts"]["problemSentence"]
        assert "cancelJob" not in look["widgets"] and not look["facts"]["busy"], "the busy mark ends"

        # The list is one click away: here, and in every layout.
        assert look["texts"]["problemCount"] == "1 problem"
        studio.click("problemCount")
        studio.until(lambda look: "problemsView" in look["widgets"], "the list of problems")
        calibrate(studio, 8, **LITTLE)
        studio.until(lambda look: idle(look) and look["facts"]["steps"] == 1, "a plan")
        for layout, keys in zip(("analyse", "edit", "compare", "try"), LAYOUTS):
            studio.key(keys)
            look = studio.until(lambda look: look["facts"]["layout"] == layout and "problemCount" in look["widgets"], f"the layout {layout}")
            assert "problemBar" in look["widgets"]
            if "problemsView" not in look["widgets"]:
                studio.click("problemCount")
                studio.until(lambda look: "problemsView" in look["widgets"], f"the list in {layout}")

        studio.click("dismissProblem")
        look = studio.until(lambda look: not look["facts"]["problems"], "the end of the problem")
        assert "problemBar" not in look["widgets"] and "problemCount" not in look["widgets"]


def test_a_killed_engine_is_said_and_what_it_did_goes_on_by_a_click(display, tmp_path):
    with Studio(display, tmp_path, "--demo") as studio:
        calibrate(studio, 16, window=512, skipWindows=24)
        studio.until(half_way, "progress")
        [engine] = studio.engine()
        os.kill(engine, signal.SIGKILL)
        look = studio.until(lambda look: "continueJob" in look["widgets"], "the offer to go on")
        assert look["texts"]["problemTitle"] == "Calibrate on calibration.txt was interrupted"
        assert "killed by signal 9" in look["texts"]["problemSentence"]
        assert "your edits are safe" in look["texts"]["problemHint"] and "Continue" in look["texts"]["problemHint"]
        assert len(look["facts"]["problems"]) == 1, "one death is one problem"
        studio.until(lambda look: "started again" in look["facts"]["message"], "the word of the restart")
        assert studio.engine() and studio.engine() != [engine]
        studio.click("continueJob")
        look = studio.until(lambda look: idle(look) and look["facts"]["steps"] == 1, "the calibration that was interrupted")
        assert look["facts"]["problems"] == [] and "problemBar" not in look["widgets"]

        # So does a measurement; while it runs it can be seen in every layout.
        studio.key("ctrl+m")
        studio.until(lambda look: "measureDialog" in look["widgets"], "the dialog")
        studio.key("Return")
        for layout, keys in zip(("analyse", "compare", "try", "edit"), ("ctrl+1", "ctrl+3", "ctrl+4", "ctrl+2")):
            studio.key(keys)
            look = studio.until(lambda look: look["facts"]["layout"] == layout and half_way(look), f"progress in {layout}")
            assert look["texts"]["runningJob"].startswith("Measure on evaluation.txt")
        os.kill(studio.engine()[0], signal.SIGKILL)
        studio.until(lambda look: look["texts"].get("problemTitle") == "Measure on evaluation.txt was interrupted", "the offer to go on")
        assert studio.fact("steps") == 1
        studio.click("continueJob")
        look = studio.until(lambda look: idle(look) and "perplexityAfter" in look["facts"], "the measurement")
        assert look["facts"]["problems"] == []


def test_a_window_that_is_closed_at_work_leaves_no_engine(display, tmp_path):
    with Studio(display, tmp_path, "--demo") as studio:
        calibrate(studio, 0)
        studio.until(half_way, "progress")
        [engine] = studio.engine()
        studio.close()
        assert not os.path.exists(f"/proc/{engine}")


def test_bad_files_are_said_in_the_window(display, tmp_path):
    damaged = tmp_path / "damaged.kvista"
    damaged.write_text('{"format": "kvista-project", "version": 1, "model": 7}')
    with Studio(display, tmp_path, damaged) as studio:
        look = studio.until(lambda look: look["facts"]["problems"], "the problem")
        [problem] = look["facts"]["problems"]
        assert str(damaged) in problem["sentence"] and problem["hint"] and problem["path"] == str(damaged)
        assert look["texts"]["problemTitle"] == "Cannot open damaged.kvista"
        assert look["texts"]["problemSentence"] == problem["sentence"] and look["texts"]["problemPath"] == str(damaged)
        assert not look["facts"]["open"]


def test_an_engine_that_cannot_be_used_is_said(display, tmp_path):
    for command, words in (("/no/such/engine", "'/no/such/engine' cannot be started"), ("/bin/echo nonsense", "'/bin/echo nonsense' says is not the protocol")):
        with Studio(display, tmp_path, "--engine", command) as studio:
            look = studio.until(lambda look: "problemBar" in look["widgets"], "the problem")
            [problem] = look["facts"]["problems"]
            assert words in problem["sentence"] and problem["hint"]
            assert look["texts"]["problemTitle"] == "There is no engine" and look["texts"]["continueJob"] == "Start again"
            assert "no engine" in look["texts"]["engineStatus"]
    # What was to be opened fails for the same reason, which is one problem, with the remedy.
    with Studio(display, tmp_path, "--engine", "/no/such/engine", "--demo") as studio:
        look = studio.until(lambda look: any(problem["path"] for problem in look["facts"]["problems"]), "the model that is not opened")
        [problem] = look["facts"]["problems"]
        assert problem["title"] == "There is no engine" and problem["path"].endswith("demo/model") and not look["facts"]["open"]
        assert look["texts"]["continueJob"] == "Start again"


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


def test_statistics_that_are_cut_off_are_said_and_change_nothing(display, statistics, tmp_path):
    whole, cut = tmp_path / "whole.kvstats", tmp_path / "cut.kvstats"
    shutil.copy(statistics, whole)
    with Studio(display, tmp_path, "--demo") as studio:
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


def test_a_calibration_on_an_empty_text_fails_with_its_sentence_and_leaves_nothing(display, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    model = tmp_path / "model"
    shutil.copytree(MODEL, model)  # Not the demo, whose own text is offered.
    with Studio(display, tmp_path, model) as studio:
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


def test_a_click_on_cancel_ends_the_job_and_the_next_one_runs(display, tmp_path):
    with Studio(display, tmp_path, "--demo") as studio:
        calibrate(studio, 0)
        studio.until(lambda look: look["facts"]["busy"] and "cancelJob" in look["widgets"], "the job in its list")
        studio.click("cancelJob")
        look = studio.until(lambda look: not look["facts"]["busy"], "the end of the job")
        assert [job["state"] for job in look["facts"]["jobs"]] == ["cancelled"]
        assert not look["facts"]["problems"] and not look["facts"]["calibrated"]
        assert not list(tmp_path.rglob("*.kvstats"))  # What was read so far may be kept, under another name.
        look = calibrated(studio)
        assert [job["state"] for job in look["facts"]["jobs"]] == ["succeeded", "succeeded", "cancelled"]
        assert "guide" not in look["widgets"] and "waterlineView" in look["widgets"]


HOSTILE = SHARED / "fixtures" / "hostile"


@pytest.mark.skipif(not HOSTILE.is_dir(), reason=f"{HOSTILE} is not there")
def test_hostile_checkpoints_are_said_in_the_window_as_kvista_says_them(display, tmp_path):
    cases = sorted(path for path in HOSTILE.iterdir() if path.is_dir() and not path.name.startswith("bin-"))
    refused = 0
    text = tmp_path / "text.txt"
    text.write_text("ab")
    for case in cases[:: max(1, len(cases) // 12)]:  # A dozen here; every one of them through the engine in test_hostile.
        said = json.loads(run("inspect", case, "--json", code=(DONE, BAD_INPUT)).stdout)
        with Studio(display, tmp_path, case) as studio:
            look = studio.until(lambda look: look["facts"]["problems"] or look["facts"]["open"], f"an answer to {case.name}")
            sentences = [problem["sentence"] for problem in look["facts"]["problems"]]
            assert look["facts"]["open"] == ("error" not in said), case.name
            if look["facts"]["open"]:
                # And what is wrong with the tokenizer, which `inspect` does not look at.
                tokens = json.loads(run("tokenize", case, "--text-file", text, "--json", code=(DONE, BAD_INPUT)).stdout)
                wrong = [f"{tokens['error']['message']} {tokens['error'].get('hint', '')}".strip()] if "error" in tokens else []
                assert sorted(sentences) == sorted(said["problems"] + wrong), case.name
                assert "problemBar" not in look["widgets"]
                continue
            refused += 1
            assert sentences == [said["error"]["message"]], case.name
            look = studio.until(lambda look: "problemBar" in look["widgets"], "the bar")
            assert look["texts"]["problemTitle"] == f"Cannot open {case.name}"
            assert look["texts"]["problemSentence"] == sentences[0] and look["texts"]["problemPath"] == str(case)
            assert look["texts"].get("problemHint", "") == said["error"].get("hint", "")
    assert refused >= 6


def test_views_are_drawn_without_a_display(new_project, tmp_path):
    """Pictures of a project, by its ending; numbers come from the same engine."""
    project = new_project(tmp_path)
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
