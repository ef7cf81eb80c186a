# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The embedded demo model by the verbs, with as little text as shows something. Its statistics and a plan are fixtures (conftest.py)."""

from program import MODEL, TEXTS, answer

WINDOW = 64
EVALUATION = ["--text", TEXTS / "evaluation.txt", "--window", WINDOW, "--windows", 4]


def plan(statistics, file, *options):
    return answer("plan", MODEL, "--stats", statistics, "-o", file, *options)


def calibrate(text, file, *options):
    return answer("calibrate", MODEL, "--text", text, "--window", WINDOW, "--no-response", "-o", file, *options)


def left_in(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))
