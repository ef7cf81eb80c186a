# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Keys and hands in a real window: what a drag forbids, and that every key does one thing, on every desktop."""

import pytest

from program import MODEL, run
from studio_window import Display, Studio, idle, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not there: {missing()}")


@pytest.fixture(scope="module")
def display():
    with Display() as one:
        yield one


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The demo model, calibrated on a little text, as a saved project."""
    folder = tmp_path_factory.mktemp("project")
    text = folder / "short.txt"
    text.write_text((MODEL.parent / "text" / "calibration.txt").read_text()[:6000])
    run("calibrate", MODEL, "--text", text, "--window", 64, "-o", folder / "demo.kvstats")
    run("plan", MODEL, "--stats", folder / "demo.kvstats", "--times-smaller", 8, "-o", folder / "demo.kvista")
    return folder / "demo.kvista"


def test_undo_waits_while_something_is_in_the_hand(display, project, tmp_path):
    with Studio(display, tmp_path, project) as studio:
        studio.until(lambda look: idle(look) and "K1" in look["facts"]["places"], "the project")
        studio.drag(studio.middle("K0"), studio.middle("newGroup"))
        studio.until(lambda look: idle(look) and look["facts"]["undo"] == 1, "a regrouped plan")

        # Heads: Ctrl+Z and Ctrl+T do nothing while they are held; the drop is one step more.
        studio.hold(studio.middle("K1"), studio.middle("newGroup"))
        studio.until(lambda look: look["facts"]["dragging"], "the drag")
        studio.key("ctrl+z", "ctrl+t", "ctrl+k")
        studio.drop()
        look = studio.until(lambda look: idle(look) and not look["facts"]["dragging"], "the drop")
        assert look["facts"]["undo"] == look["facts"]["steps"] == 2
        assert "calibrateDialog" not in look["widgets"]

        # Redo neither, and Esc puts the heads back.
        studio.key("ctrl+z")
        studio.until(lambda look: idle(look) and look["facts"]["undo"] == 1, "undo")
        studio.hold(studio.middle("V0"), studio.middle("newGroup"))
        studio.until(lambda look: look["facts"]["dragging"], "the drag")
        studio.key("ctrl+shift+z", "Escape")
        look = studio.until(lambda look: not look["facts"]["dragging"], "the end of the drag")
        studio.drop()
        assert (look["facts"]["undo"], look["facts"]["steps"]) == (1, 2)
        studio.key("ctrl+shift+z")
        studio.until(lambda look: idle(look) and look["facts"]["undo"] == 2, "redo")

        # The water.
        x, y = studio.middle("waterlineHandle")
        studio.hold((x, y), (x, y + 30))
        studio.until(lambda look: look["facts"]["dragging"], "the drag of the water")
        studio.key("ctrl+z")
        studio.drop()
        look = studio.until(lambda look: idle(look) and not look["facts"]["dragging"], "the lower water")
        assert look["facts"]["undo"] == look["facts"]["steps"] == 3


@pytest.mark.parametrize("desktop", ["gnome", "kde", ""])
def test_no_key_does_two_things_on_any_desktop(display, project, tmp_path, desktop):
    with Studio(display, tmp_path, project, environment={
        "QT_QPA_PLATFORMTHEME": desktop, "KDE_SESSION_VERSION": "5", "KDE_FULL_SESSION": "true"}) as studio:
        look = studio.until(idle, "the project")
        assert look["facts"]["ambiguousShortcuts"] == []
        # The one that was: it saves the project under another name, here as on every desktop.
        studio.key("ctrl+shift+s")
        studio.until(lambda look: any("QFileDialog" in name for name in look["widgets"]), "the dialog of Save as")
        studio.key("Escape")
        assert "mbiguous" not in studio.said()
