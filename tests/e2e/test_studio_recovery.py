# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""A real window that is killed with edits in it: the next one offers them, shows them, and brings them back or drops them."""

import os
import signal
import time
from pathlib import Path

import pytest

from studio_window import PATIENCE, Studio, idle, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not there: {missing()}")
SHOWN = ("fingerprint", "figures", "bytesPerToken", "predictedPerplexity", "perplexityAfter")


def shown(look):
    return {name: look["facts"].get(name) for name in SHOWN}


def ended(process):
    """Gone, or only waiting for somebody to notice."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what} did not come within {PATIENCE} s"
        time.sleep(0.05)  # Between two looks; nothing depends on how long it is.


def measured(studio):
    """A measurement: no edit, and to be kept all the same."""
    studio.key("ctrl+m")
    studio.until(lambda look: "measureDialog" in look["widgets"], "the dialog")
    studio.enter("window", 64)
    studio.enter("windows", 1)
    studio.key("Return")
    return studio.until(lambda look: idle(look) and "perplexityAfter" in look["facts"], "the measurement")


def edit_and_kill(display, home, project, engine_too):
    """A head dragged into a group of its own, the target typed, one step more that is undone; then the end. Answers what was seen."""
    with Studio(display, home, project) as studio:
        saved = shown(studio.until(lambda look: idle(look) and "K0" in look["facts"]["places"], "the project"))
        studio.drag(studio.middle("K0"), studio.middle("newGroup"))
        studio.until(lambda look: idle(look) and look["facts"]["steps"] == 1, "the regrouped plan")
        for count, times_smaller in ((2, "12"), (3, "16")):
            studio.key("ctrl+t", "ctrl+a")
            studio.type(times_smaller)
            studio.key("Return")
            studio.until(lambda look: idle(look) and look["facts"]["steps"] == count, f"the plan {times_smaller} times smaller")
        studio.key("ctrl+z")
        studio.until(lambda look: idle(look) and look["facts"]["undo"] == 2, "undo")
        edited = shown(measured(studio))
        assert edited["fingerprint"] != saved["fingerprint"] and edited["bytesPerToken"] < saved["bytesPerToken"]
        [engine] = studio.engine()
        if engine_too:
            os.kill(engine, signal.SIGKILL)
        studio.kill()
        wait_for(lambda: ended(engine), "the end of the engine")
    return saved, edited


def kept(home):
    return [file.name for file in (home / "data" / "kvista" / "recovery").iterdir() if file.suffix in (".journal", ".kvista")]


@pytest.mark.parametrize("engine_too", [False, True], ids=["window", "window and engine"])
def test_edits_of_a_killed_window_are_shown_and_come_back(display, new_project, tmp_path, engine_too):
    project = new_project(tmp_path)
    file = project.read_bytes()
    saved, edited = edit_and_kill(display, tmp_path, project, engine_too)
    assert project.read_bytes() == file, "nobody has saved"

    # Whether the same project is asked for again, or nothing.
    with Studio(display, tmp_path, *([project] if engine_too else [])) as studio:
        look = studio.until(lambda look: "recover" in look["widgets"], "the offer")
        assert look["texts"]["recoverHeading"] == f"KVista ended without saving {project}."
        assert look["texts"]["recoverSummary"].startswith("2 edits since the last save")
        assert "differences" not in look["widgets"]
        studio.click("showDifferences")
        look = studio.until(lambda look: "differences" in look["texts"], "the differences")
        rows = {what: (before, after) for what, before, after in (row.split("\t") for row in look["texts"]["differences"].split("\n"))}
        assert rows["Target"] == ("8.0 times smaller", "12.0 times smaller")
        assert [int(size.split()[0].replace(",", "")) for size in rows["Bytes a token"]] == [saved["bytesPerToken"], edited["bytesPerToken"]]
        assert any(before == "—" and what == "Layer 0 · K0" for what, (before, _) in rows.items()), "the group that is new"
        studio.click("recover")
        look = studio.until(lambda look: idle(look) and shown(look) == edited, "what was seen before")
        assert look["facts"]["modified"] and "demo" in look["facts"]["title"] and "recoverDialog" not in look["widgets"]
        assert project.read_bytes() == file, "it is not saved by being recovered"
        studio.key("ctrl+s")
        studio.until(lambda look: not look["facts"]["modified"], "the saved project")
        studio.close()
    assert kept(tmp_path) == []
    with Studio(display, tmp_path, project) as studio:
        look = studio.until(lambda look: idle(look) and shown(look) == edited, "the project, saved")
        assert "recoverDialog" not in look["widgets"] and not look["facts"]["modified"]


def test_discarded_edits_leave_the_project_as_it_was_saved(display, new_project, tmp_path):
    project = new_project(tmp_path)
    file = project.read_bytes()
    saved, _ = edit_and_kill(display, tmp_path, project, engine_too=False)
    assert kept(tmp_path)
    with Studio(display, tmp_path, project) as studio:
        studio.until(lambda look: "discard" in look["widgets"], "the offer")
        studio.click("discard")
        look = studio.until(lambda look: idle(look) and "recoverDialog" not in look["widgets"], "the project")
        assert shown(look) == saved and not look["facts"]["modified"] and look["facts"]["steps"] == 0
        assert kept(tmp_path) == []
        studio.close()
    assert project.read_bytes() == file
    with Studio(display, tmp_path, project) as studio:
        assert "recoverDialog" not in studio.until(lambda look: shown(look) == saved and idle(look), "the project")["widgets"]


def test_what_is_decided_on_later_is_offered_again(display, new_project, tmp_path):
    project = new_project(tmp_path)
    _, edited = edit_and_kill(display, tmp_path, project, engine_too=True)
    with Studio(display, tmp_path) as studio:
        studio.until(lambda look: "recover" in look["widgets"], "the offer")
        studio.key("Escape")
        studio.until(lambda look: "recover" not in look["widgets"], "the end of the offer")
        studio.close()
    with Studio(display, tmp_path) as studio:
        studio.until(lambda look: "recover" in look["widgets"], "the offer")
        studio.key("Return")
        studio.until(lambda look: idle(look) and shown(look) == edited, "what was seen before")
