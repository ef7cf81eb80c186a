# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""What is damaged or of another version is said in a real window, and the window works without it."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from program import PROGRAM
from studio_window import Display, Studio, idle, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not there: {missing()}")
FAKE_ENGINE = Path(PROGRAM).parent / "kvista-fake-engine"


def test_damaged_settings_fall_back(display, tmp_path):
    settings = tmp_path / "config" / "kvista" / "settings.json"
    settings.parent.mkdir(parents=True)
    for content, words in (('{"look": 2, "geometry": ', "settings.json"), ('{"look": "dark", "shortcuts": [7], "geometry": 5}', "'look'")):
        settings.write_text(content)
        with Studio(display, tmp_path) as studio:
            look = studio.until(lambda look: look["facts"]["problems"], "the problem")
            assert any(words in problem["sentence"] for problem in look["facts"]["problems"])
            assert all(problem["hint"] for problem in look["facts"]["problems"])
            # Keys and size are the usual ones, and settings are kept from now on.
            assert look["widgets"]["mainWindow"][2] >= 900
            studio.key("ctrl+shift+p")
            studio.until(lambda look: "commandPalette" in look["widgets"], "the palette")
            studio.key("Escape")
            studio.until(lambda look: "commandPalette" not in look["widgets"], "the end of the palette")
            studio.close()
        assert isinstance(json.loads(settings.read_text())["geometry"], str)


def test_the_first_window_fits_its_screen(tmp_path):
    with Display("1280x800") as small, Studio(small, tmp_path) as studio:
        x, y, width, height = studio.look()["widgets"]["mainWindow"]
        assert 0 <= x and x + width <= 1280 and 0 <= y and y + height <= 800


def test_a_damaged_layout_falls_back(display, project, tmp_path):
    session = tmp_path / "data" / "kvista" / "sessions" / (hashlib.sha256(str(project).encode()).hexdigest()[:16] + ".json")
    shown = {"headsView", "groupsView", "waterlineView", "layersView"}
    with Studio(display, tmp_path, project) as studio:
        usual = {name: studio.until(idle, "the project")["widgets"][name] for name in shown}
        studio.close()
    kept = json.loads(session.read_text())
    sound = base64.b64decode(kept["arrangement.edit"])
    flipped = bytes(byte ^ 0x55 if 60 < place < 90 else byte for place, byte in enumerate(sound))
    for damaged in (b"no arrangement", sound[: len(sound) // 2], flipped, b""):
        session.write_text(json.dumps({**kept, "arrangement.edit": base64.b64encode(damaged).decode()}))
        with Studio(display, tmp_path, project) as studio:
            look = studio.until(lambda look: idle(look) and shown <= look["widgets"].keys(), "the usual panels")
            said = [problem for problem in look["facts"]["problems"] if "arrangement.edit" in problem["sentence"]]
            assert bool(said) == bool(damaged)  # Nothing kept is nothing wrong.
            # Every panel is in its usual column; below the line that says it, where it is said.
            for name in shown:
                (x, y, width, _), (usual_x, usual_y, usual_width, _) = look["widgets"][name], usual[name]
                assert (x, width) == (usual_x, usual_width) and (y > usual_y or not said)


@pytest.mark.parametrize("behaviour,words", [("old", "too old"), ("new", "too new"), ("other", "parrot")])
def test_an_engine_of_another_version_is_said(display, tmp_path, behaviour, words):
    with Studio(display, tmp_path, "--engine", f"{FAKE_ENGINE} {behaviour}", "--demo") as studio:
        look = studio.until(lambda look: look["facts"]["problems"], "the problem")
        problem, *_ = [each for each in look["facts"]["problems"] if words in each["sentence"]]
        assert str(FAKE_ENGINE) in problem["sentence"] and "studio's version" in problem["hint"]
        assert not look["facts"]["open"]
