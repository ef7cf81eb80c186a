# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Takes pictures of the window with the demo model, every layout, light and dark. Usage: pictures.py FOLDER [SIZE [SCALE]]

Needs what the tests of the window need, and ImageMagick. The README's pictures come from here.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from studio_window import Display, Studio

LAYOUTS = {"analyse": "ctrl+1", "edit": "ctrl+2", "compare": "ctrl+3", "try": "ctrl+4"}
PROMPT = "The rain had fallen since morning, and nobody"


def idle(look):
    facts = look["facts"]
    return facts["calibrated"] and not facts["busy"] and not facts["stale"]


def command(studio, text):
    """By the palette, as a person who does not know the shortcut."""
    studio.key("ctrl+shift+p")
    studio.until(lambda look: "commandPalette" in look["widgets"], "the palette")
    studio.type(text)
    studio.key("Return")


def target(studio, text, steps):
    studio.key("ctrl+t", "ctrl+a")
    studio.type(text)
    studio.key("Return")
    studio.until(lambda look: idle(look) and look["facts"]["steps"] == steps, f"the target {text}")


def measure(studio, tried):
    studio.key("ctrl+m")
    studio.until(lambda look: "measureDialog" in look["widgets"], "the dialog")
    studio.key("Return")
    studio.until(lambda look: idle(look) and look["facts"]["figures"][4].startswith(str(tried)), "the measurement")


def settle():
    time.sleep(1.5)  # Until everything that was asked for has been drawn; pictures are looked at, not tested.


def main(folder, size="1440x900", scale="1"):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    width, height = map(int, size.split("x"))
    with tempfile.TemporaryDirectory() as home, Display("2700x1600") as display:
        studio = Studio(display, home, "--demo", environment={"QT_SCALE_FACTOR": scale, "OMP_NUM_THREADS": "2"})
        try:
            studio.until(lambda look: look["facts"]["open"], "the demo model")
            window = subprocess.run(["xdotool", "search", "--name", "KVista"], env=studio.environment, capture_output=True,
                                    text=True, check=True).stdout.split()[-1]
            studio.xdotool("windowsize", "--sync", window, width, height)

            def picture(name):
                settle()
                subprocess.run(["import", "-window", window, str(folder / f"{name}.png")], env=studio.environment, check=True)

            picture("guide-light")
            studio.key("ctrl+k")
            studio.until(lambda look: "calibrateDialog" in look["widgets"], "the dialog")
            studio.key("Return")
            studio.until(lambda look: idle(look) and look["facts"]["steps"] == 1, "a plan")
            measure(studio, 1)
            target(studio, "16", 2)
            measure(studio, 2)
            target(studio, "24", 3)
            measure(studio, 3)
            target(studio, "8", 4)
            studio.key(LAYOUTS["edit"])
            settle()
            studio.drag(studio.middle("K0"), studio.middle("newGroup"))
            studio.until(lambda look: idle(look) and look["facts"]["steps"] == 5, "the regrouped plan")
            studio.key(LAYOUTS["try"])
            settle()
            studio.click("prompt")
            studio.type(PROMPT)
            studio.click("generate")
            studio.until(lambda look: not look["facts"]["busy"], "the text")
            studio.click("measureTokens")
            studio.until(idle, "the tokens' losses")
            for look in ("light", "dark"):
                command(studio, f"Look: {look}")
                for name, keys in LAYOUTS.items():
                    studio.key(keys)
                    if name == "analyse":
                        time.sleep(4)  # The errors are a pass through the model.
                    picture(f"{name}-{look}")
            print(studio.fact("figures"))
        finally:
            studio.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
