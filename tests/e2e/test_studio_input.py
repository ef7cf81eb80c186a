# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Keys and hands in a real window: what a drag forbids, and that every key does one thing, on every desktop."""

import pytest

from studio_window import Studio, idle, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not there: {missing()}")


@pytest.mark.parametrize("scale", ["1", "1.5"])
def test_undo_waits_while_something_is_in_the_hand(display, project, tmp_path, scale):
    with Studio(display, tmp_path, project, environment={"QT_SCALE_FACTOR": scale}) as studio:
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


def go_to(studio, panel):
    """By F6 alone."""
    for _ in range(20):
        if studio.fact("keyboardIn") == panel:
            return
        before = studio.fact("keyboardIn")
        studio.key("F6")
        studio.until(lambda look: look["facts"]["keyboardIn"] != before, "another panel")
    raise AssertionError(f"F6 does not come to {panel}")


def command(studio, words, seen, what):
    """From the palette."""
    studio.key("ctrl+shift+p")
    studio.until(lambda look: "commandPalette" in look["widgets"], "the palette")
    studio.type(words)
    studio.key("Return")
    return studio.until(seen, what)


def test_the_whole_flow_without_a_mouse(display, tmp_path):
    with Studio(display, tmp_path) as studio:
        command(studio, "open the demo", lambda look: look["facts"]["open"], "the demo model")
        studio.key("ctrl+k")
        studio.until(lambda look: "calibrateDialog" in look["widgets"], "the dialog")
        studio.key("Return")
        look = studio.until(lambda look: idle(look) and look["facts"]["steps"] == 1, "a plan")
        first = look["facts"]["fingerprint"]

        # Regrouped: the first head is cut, and pasted behind the last one's box, into a new group.
        go_to(studio, "groups")
        assert "focusRing" in studio.until(lambda look: "focusRing" in look["widgets"], "the line around what has the keyboard")["widgets"]
        studio.key("Home", "space", "ctrl+x", "End", "Right", "ctrl+v")
        look = studio.until(lambda look: idle(look) and look["facts"]["steps"] == 2, "the regrouped plan")
        regrouped = look["facts"]["fingerprint"]
        assert regrouped != first

        # A rank, in the panel behind the waterline.
        go_to(studio, "budget")
        studio.key("Home", "F2")
        studio.key("ctrl+a")
        studio.type("24")
        studio.key("Return")
        look = studio.until(lambda look: idle(look) and look["facts"]["steps"] == 3, "another rank")
        assert look["facts"]["fingerprint"] not in (first, regrouped)

        studio.key("ctrl+z")
        look = studio.until(lambda look: idle(look) and look["facts"]["undo"] == 2, "undo")
        assert look["facts"]["fingerprint"] == regrouped

        studio.key("ctrl+s")
        studio.until(lambda look: any("QFileDialog" in name for name in look["widgets"]), "the file dialog")
        studio.key("ctrl+a")
        studio.type(tmp_path / "keys.kvista")
        studio.key("Return")
        studio.until(lambda look: not look["facts"]["modified"], "the saved project")

        studio.export()
        studio.close()
    assert (tmp_path / "model-smaller" / "kvista-report.json").exists()
