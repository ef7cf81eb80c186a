# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The built program, run as a person or another program would run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = os.environ.get("KVISTA_PROGRAM", "kvista")
SOURCE = Path(os.environ.get("KVISTA_SOURCE_DIR", Path(__file__).resolve().parents[2]))
SHARED = Path(os.environ.get("KVISTA_SHARED_DIR", SOURCE.parent / "shared"))
MODEL = SOURCE / "resources/demo/model"
TEXTS = SOURCE / "resources/demo/text"
# Small work on few cores: threads that wait by spinning would only take time from each other.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

DONE, USAGE, BAD_INPUT, CANCELLED = 0, 2, 3, 130


def run(*arguments, code=DONE, stdin=""):
    """Runs a verb and asserts its exit code, or one of several."""
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=600, env=ENVIRONMENT
    )
    codes = code if isinstance(code, tuple) else (code,)
    assert done.returncode in codes, f"{arguments} gave {done.returncode}, not {code}:\n{done.stdout}\n{done.stderr}"
    return done


def answer(*arguments, stdin=""):
    """What a verb prints with --json: one object, and nothing else on standard output."""
    return json.loads(run(*arguments, "--json", stdin=stdin).stdout)


def complaint(done):
    """The sentence of a failed run."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("kvista: ")]
    assert len(lines) == 1, done.stderr
    return lines[0].removeprefix("kvista: ")


# A process counts its parent's memory as its own until it has become another program; a small parent keeps that small.
_MEASURE = """
import json, os, signal, subprocess, sys, tempfile, threading
from concurrent.futures import ThreadPoolExecutor
def measure(command):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        guard = threading.Timer(60, child.kill)
        guard.start()
        _, status, usage = os.wait4(child.pid, 0)
        guard.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "backslashreplace"))
        return {"code": child.returncode, "stdout": texts[0], "stderr": texts[1], "bytes": usage.ru_maxrss * 1024}
with ThreadPoolExecutor(2) as pool:
    json.dump(list(pool.map(measure, json.load(sys.stdin))), sys.stdout)
"""


def measured(commands):
    """Runs many command lines, two at a time; of each its code (negative: the signal that ended it), stdout, stderr and
    the largest number of bytes that it held. One that takes a minute is killed."""
    commands = [[PROGRAM, *map(str, arguments)] for arguments in commands]
    done = subprocess.run(
        [sys.executable, "-I", "-c", _MEASURE],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    return json.loads(done.stdout)
