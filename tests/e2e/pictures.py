# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Takes pictures of the window with the demo model: empty, every layout and every dialog, light and dark.

Usage: pictures.py FOLDER [SIZE[,SIZE...] [SCALE[,SCALE...] [HOME]]]. Needs what the tests of the window need, and ImageMagick. The
README's pictures come from here. The program and the demo are copied to HOME (such as /home/you, to be made for this),
so that no picture shows where they were built.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import studio_window
from program import PROGRAM, SOURCE
from studio_window import Display, Studio, idle

LAYOUTS = {"analyse": "ctrl+1", "edit": "ctrl+2", "compare": "ctrl+3", "try": "ctrl+4"}
PROMPT = "The rain had fallen since morning, and nobody"
DIALOGS = {  # The keys or the command that open each, and the widget that is there then.
    "calibrate": ("ctrl+k", "calibrateDialog"),
    "plan": ("ctrl+p", "planDialog"),
    "measure": ("ctrl+m", "measureDialog"),
    "refine": ("ctrl+r", "refineDialog"),
    "export": ("ctrl+e", "exportDialog"),
    "shortcuts": ("ctrl+question", "shortcuts"),
    "help": ("F1", "help"),
    "engine": ("Engine", "engineDialog"),
    "experiment": ("Compare methods", "experimentDialog"),
    "questions": ("Ask questions", "questionsDialog"),
    "agreement": ("Measure agreement", "agreementDialog"),
    "ranks": ("Measure ranks", "ranksDialog"),
    "retrieval": ("Test retrieval", "retrievalDialog"),
    "predictor": ("Train a predictor", "predictorDialog"),
}


def palette(studio, text):
    studio.key("ctrl+shift+p")
    studio.until(lambda look: "commandPalette" in look["widgets"], "the palette")
    studio.type(text)


def command(studio, text):
    """By the palette, as a person who does not know the shortcut."""
    palette(studio, text)
    studio.key("Return")
    studio.until(lambda look: "commandPalette" not in look["widgets"], "the palette's end")


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


def installed(home):
    """The program and the demo in `home`, as an installation lays them out."""
    home = Path(home)
    if Path(PROGRAM).parent != home / "kvista/bin":
        shutil.copytree(Path(PROGRAM).parent, home / "kvista/bin", dirs_exist_ok=True,
                    ignore=lambda _, names: [name for name in names if name not in ("kvista", "kvista-compute", "kvista-studio")])
    shutil.copytree(SOURCE / "resources/demo", home / "kvista/share/kvista/demo", dirs_exist_ok=True)
    return str(home / "kvista/bin/kvista-studio")


def work(studio):
    """A project with plans measured, one edited by hand, and a text that both caches wrote."""
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
    done = {"name": "Generate", "state": "succeeded", "sentence": ""}
    studio.until(lambda look: done in look["facts"]["jobs"], "the text")
    studio.click("measureTokens")
    done = {"name": "Losses token by token", "state": "succeeded", "sentence": ""}
    studio.until(lambda look: idle(look) and done in look["facts"]["jobs"], "the tokens' losses")


def save(studio, file):
    studio.key("ctrl+shift+s")
    studio.until(lambda look: any("QFileDialog" in name for name in look["widgets"]), "the dialog of Save as")
    studio.key("ctrl+a")
    studio.type(str(file))
    studio.key("Return")
    studio.until(lambda look: not any("QFileDialog" in name for name in look["widgets"]) and not look["facts"]["modified"], "the project's file")


class Camera:
    """The window of a studio in the sizes that are wanted, in files named by size, scale and subject."""

    def __init__(self, studio, folder, sizes, scale):
        self.studio, self.folder, self.sizes, self.scale = studio, Path(folder), sizes, scale
        self.window = subprocess.run(["xdotool", "search", "--name", "KVista"], env=studio.environment, capture_output=True,
                                     text=True, check=True).stdout.split()[-1]

    def resize(self, size):
        self.studio.xdotool("windowsize", "--sync", self.window, *size.split("x"))
        self.studio.xdotool("windowmove", self.window, 20, 40, "windowactivate", "--sync", self.window)
        self.size = size

    def take(self, name):
        """From the screen, not from the window alone: a dialog is a window of its own above it."""
        settle()
        x, y, width, height = (round(float(self.scale) * value) for value in self.studio.look()["widgets"]["mainWindow"])
        subprocess.run(["import", "-window", "root", "-crop", f"{width}x{height}+{x}+{y}", "+repage",
                        str(self.folder / f"{self.size}-{self.scale}-{name}.png")], env=self.studio.environment, check=True)

    def layouts(self, look):
        for name, keys in LAYOUTS.items():
            self.studio.key(keys)
            if name == "analyse":
                time.sleep(4)  # The errors are a pass through the model.
            self.take(f"{name}-{look}")
            if name == "analyse":
                command(self.studio, "Panel: Notes")
                self.take(f"notes-{look}")

    def dialogs(self, look):
        for name, (opening, widget) in DIALOGS.items():
            self.studio.key(opening) if opening == "F1" or "+" in opening else command(self.studio, opening)
            self.studio.until(lambda seen: widget in seen["widgets"], widget)
            self.take(f"{name}-{look}")
            self.studio.key("Escape")
            self.studio.until(lambda seen: widget not in seen["widgets"], f"the end of {widget}")
        palette(self.studio, "plan")
        self.take(f"palette-{look}")
        self.studio.key("Escape")
        self.studio.until(lambda seen: "commandPalette" not in seen["widgets"], "the palette's end")

    def recovery(self, look):
        """What a window finds that follows one which was killed."""
        self.studio.until(lambda seen: "recoverDialog" in seen["widgets"], "the dialog")
        dialog = subprocess.run(["xdotool", "search", "--name", "Recover"], env=self.studio.environment, capture_output=True, text=True,
                                check=True).stdout.split()[-1]
        self.studio.xdotool("windowmove", "--sync", dialog, 120, 140)  # It has come before the window was moved.
        self.studio.click("showDifferences")
        self.take(f"recover-{look}")

    def all(self):
        for size in self.sizes:
            self.resize(size)
            for look in ("light", "dark"):
                command(self.studio, f"Look: {look}")
                self.layouts(look)
                self.dialogs(look)


def main(folder, sizes="1440x900", scales="1", home=None):
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, Display("2700x1600") as display:
        home = Path(home or temporary)
        # What the window remembers is new every time: nothing of an earlier run is offered for recovery.
        places = {f"XDG_{name}_HOME": f"{temporary}/{name.lower()}" for name in ("CONFIG", "DATA", "CACHE", "STATE")}
        studio_window.STUDIO = installed(home)
        project = home / "demo.kvista"
        opened = "--demo"
        environment = {**places, "QT_SCALE_FACTOR": scales.split(",")[0], "OMP_NUM_THREADS": "2"}
        with Studio(display, home, environment=environment) as studio:
            camera = Camera(studio, folder, sizes.split(","), scales.split(",")[0])
            for size in camera.sizes:
                camera.resize(size)
                for look in ("dark", "light"):
                    command(studio, f"Look: {look}")
                    camera.take(f"empty-{look}")
        for scale in scales.split(","):
            studio = Studio(display, home, opened, environment={**places, "QT_SCALE_FACTOR": scale, "OMP_NUM_THREADS": "2"})
            try:
                studio.until(lambda look: look["facts"]["open"], "the model")
                camera = Camera(studio, folder, sizes.split(","), scale)
                if opened == "--demo":
                    for size in camera.sizes:
                        camera.resize(size)
                        camera.take("guide-light")
                    work(studio)
                    save(studio, project)
                    opened = project
                else:
                    studio.until(idle, "the project")
                camera.all()
                print(scale, studio.fact("figures"))
                if scale == scales.split(",")[-1]:
                    target(studio, "12", studio.fact("steps") + 1)
            finally:
                studio.kill()
        with Studio(display, home, environment={**places, "QT_SCALE_FACTOR": scale, "OMP_NUM_THREADS": "2"}) as studio:
            camera = Camera(studio, folder, sizes.split(","), scale)
            camera.resize(camera.sizes[0])
            camera.recovery("dark")  # The look that was chosen last.


if __name__ == "__main__":
    main(*sys.argv[1:])
