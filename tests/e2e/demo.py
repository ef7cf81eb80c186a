# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The embedded demo model by the verbs, with as little text as shows something. Its statistics and a plan are fixtures (conftest.py)."""

import json
import shutil

from program import MODEL, TEXTS, answer

WINDOW = 64
EVALUATION = ["--text", TEXTS / "evaluation.txt", "--window", WINDOW, "--windows", 4]


def plan(statistics, file, *options):
    return answer("plan", MODEL, "--stats", statistics, "-o", file, *options)


def calibrate(text, file, *options):
    return answer("calibrate", MODEL, "--text", text, "--window", WINDOW, "--no-response", "-o", file, *options)


def first_layers(count, folder):
    """The demo model without its later layers, for what does not hang on how many there are: most work is done layer by layer."""
    shutil.copytree(MODEL, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": count}))
    return folder


def copy_of(project, statistics, folder):
    """A plan of the demo model in a folder of its own, beside its statistics."""
    content = json.loads(project.read_text())
    content["model"]["path"], content["statistics"]["path"] = str(MODEL), "demo.kvstats"
    shutil.copy(statistics, folder / "demo.kvstats")
    (folder / "demo.kvista").write_text(json.dumps(content))
    return folder / "demo.kvista"


def left_in(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))
