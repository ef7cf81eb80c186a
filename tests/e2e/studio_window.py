# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""A real window on a display that nobody sees, driven from outside with mouse and keys (xdotool)."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from program import ENVIRONMENT, PROGRAM

STUDIO = str(Path(PROGRAM).parent / "kvista-studio")
NEEDED = ["Xvfb", "openbox", "xdotool"]
PATIENCE = 180  # Seconds for what takes longest, calibration on a busy machine.
# Milliseconds in which the window's thread may not answer. What a test finds by it is a window that hangs; the figure itself
# (50 ms, S27) depends on the machine, so packaging/bench holds it with the same tests.
ALLOWED_BLOCK = float(os.environ.get("KVISTA_ALLOWED_BLOCK", 1000))
BLOCKS = os.environ.get("KVISTA_BLOCKS")  # A file that gets the longest block of every window, a line each.


def missing():
    """What the tests of the window lack here, in words; empty if nothing."""
    lacking = [name for name in NEEDED if not shutil.which(name)]
    if not Path(STUDIO).exists():
        lacking.append("kvista-studio (built with KVISTA_STUDIO=ON)")
    return ", ".join(lacking)


def idle(look):
    facts = look["facts"]
    return facts["calibrated"] and not facts["busy"] and not facts["stale"]


class Display:
    """An X server of our own."""

    def __init__(self, size="1600x1000"):
        self.size = size

    def __enter__(self):
        read, write = os.pipe()
        self.server = subprocess.Popen(
            # On a busy machine a key that is pressed long enough would be typed twice.
            ["Xvfb", "-r", "-displayfd", str(write), "-screen", "0", f"{self.size}x24", "-nolisten", "tcp"],
            pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(write)
        with os.fdopen(read) as pipe:
            self.name = f":{pipe.readline().strip()}"
        # Somebody has to give the keyboard to windows and dialogs, and be there before the first of them: it says when.
        with tempfile.TemporaryDirectory() as folder:
            ready = Path(folder) / "ready"
            os.mkfifo(ready)
            self.manager = subprocess.Popen(["openbox", "--startup", f"sh -c 'echo > {ready}'"], env={**os.environ, "DISPLAY": self.name},
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            ready.read_text()
        return self

    def __exit__(self, *_):
        for process in (self.manager, self.server):
            process.terminate()
            process.wait()


class Studio:
    """The program in a home of its own. `look` is what it says of itself (KVISTA_PROBE).

    Used by `with`, its end asserts that the window answered all the time, whatever was done with it."""

    def __init__(self, display, home, *arguments, environment=None):
        self.home = Path(home)
        self.probe = self.home / "probe.json"
        self.probe.unlink(missing_ok=True)
        self.environment = {
            **ENVIRONMENT, "DISPLAY": display.name, "HOME": str(home), "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(self.home / "data"), "XDG_CACHE_HOME": str(self.home / "cache"), "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_RUNTIME_DIR": str(self.home / "run"), "KVISTA_PROBE": str(self.probe), "KVISTA_WATCHDOG": "1", "QT_QPA_PLATFORM": "xcb",
            **(environment or {}),
        }
        self.scale = float(self.environment.get("QT_SCALE_FACTOR", 1))  # Pixels, which the mouse counts, of what the window counts.
        (self.home / "run").mkdir(mode=0o700, exist_ok=True)
        self.errors = open(self.home / "stderr.txt", "w+")
        self.process = subprocess.Popen([STUDIO, *map(str, arguments)], env=self.environment, stderr=self.errors)
        self.until(lambda look: "mainWindow" in look["widgets"], "the window")

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        try:
            if failure is None and self.process.poll() is None:
                self.answered()
        finally:
            self.kill()

    def answered(self):
        """The window's thread was never blocked for longer than is allowed."""
        block = self.fact("longestBlock")
        if BLOCKS:
            with open(BLOCKS, "a") as record:
                record.write(f"{block}\n")
        assert block <= ALLOWED_BLOCK, f"{block} ms\n{self.said()}"

    def look(self):
        try:
            return json.loads(self.probe.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {"widgets": {}, "texts": {}, "facts": {}}

    def until(self, condition, what, patience=PATIENCE):
        """Waits for something to be seen; answers what the window says then."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            look = self.look()
            if look["facts"] and condition(look):
                return look
            if self.process.poll() is not None:
                raise AssertionError(f"the window ended with {self.process.returncode} before {what}:\n{self.said()}")
            time.sleep(0.05)  # Between two looks; nothing depends on how long it is.
        raise AssertionError(f"{what} did not come within {patience} s; the window says {json.dumps(self.look()['facts'], indent=1)}\n{self.said()}")

    def fact(self, name):
        return self.look()["facts"][name]

    def said(self):
        self.errors.flush()
        return (self.home / "stderr.txt").read_text()

    def xdotool(self, *arguments):
        subprocess.run(["xdotool", *map(str, arguments)], env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def key(self, *keys):
        self.xdotool("key", "--delay", 30, *keys)

    def type(self, text):
        self.xdotool("type", "--delay", 10, text)

    def click(self, widget):
        x, y, width, height = self.place(widget)
        self.xdotool("mousemove", x + width // 2, y + height // 2, "click", 1)

    def place(self, widget):
        """Where it is once it stays there: the desktop moves a window that is new."""
        before, now = None, self.look()["widgets"][widget]
        while before != now:
            time.sleep(0.25)
            before, now = now, self.look()["widgets"][widget]
        return [round(self.scale * value) for value in now]

    def enter(self, widget, text):
        """Types into a field of a dialog, instead of what is in it."""
        self.click(widget)
        self.key("ctrl+a")
        self.type(text)

    def export(self):
        """Where the dialog offers, in the form that it offers."""
        self.key("ctrl+e")
        self.until(lambda look: "exportDialog" in look["widgets"], "the dialog")
        self.until(lambda look: look["facts"]["exportReady"], "the dry run")
        self.key("Return")
        self.until(lambda look: look["facts"]["message"].startswith("Exported"), "the export")

    def engine(self):
        """The process that computes."""
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(line) for line in children.stdout.split()]

    def hold(self, begin, end, steps=12):
        """The first part of a drag: the button stays down."""
        self.xdotool("mousemove", *begin, "mousedown", 1)
        for step in range(1, steps + 1):
            self.xdotool("mousemove", *(a + (b - a) * step // steps for a, b in zip(begin, end)))

    def drop(self):
        self.xdotool("mouseup", 1)

    def drag(self, begin, end, steps=12):
        self.hold(begin, end, steps)
        self.drop()

    def middle(self, place):
        x, y, width, height = (round(self.scale * value) for value in self.look()["facts"]["places"][place])
        return x + width // 2, y + height // 2

    def picture(self, file):
        subprocess.run(["import", "-window", "root", str(file)], env=self.environment, check=True)

    def close(self):
        """Ends it as a person does."""
        self.answered()
        self.key("ctrl+q")
        assert self.process.wait(timeout=60) == 0, self.said()

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
