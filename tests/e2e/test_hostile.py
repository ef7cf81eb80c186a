# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged and malicious checkpoints: each refused with a sentence of its own, none with a crash, a hang or a huge
allocation."""

import json
import re
from pathlib import Path

import pytest

from engine import Engine
from program import BAD_INPUT, DONE, SHARED, measured

FOLDER = SHARED / "fixtures/hostile"
LIMIT = 256 << 20
CODES = {
    "ok": {DONE},
    "warn": {DONE},
    "refuse": {BAD_INPUT},
    "refuse-tokenizer": {BAD_INPUT},
    "refuse-or-ok": {DONE, BAD_INPUT},
    "ok-or-refuse": {DONE, BAD_INPUT},
    "refuse-or-last-wins": {DONE, BAD_INPUT},
}


def cases():
    if not (FOLDER / "expected.json").is_file():
        return []
    return json.loads((FOLDER / "expected.json").read_text())


CASES = cases()
pytestmark = pytest.mark.skipif(not CASES, reason=f"no hostile fixtures in {FOLDER}")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    text = tmp_path_factory.mktemp("hostile") / "text"
    text.write_text("ab ba, a b! " + "x" * 4000)
    commands = [
        ["tokenize", FOLDER / case["path"], "--text-file", text, "--json"]
        if case["category"] == "tokenizer"
        else ["inspect", FOLDER / case["path"], "--weights", "--json"]
        for case in CASES
    ]
    return {case["path"]: run for case, run in zip(CASES, measured(commands))}


def message(run):
    return json.loads(run["stdout"])["error"]["message"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["path"])
def test_is_taken_as_expected(case, runs):
    run = runs[case["path"]]
    assert run["code"] in CODES[case["expect"]], f"{case['what']}: {run['stderr'][-500:]}"
    good = runs["ok-tokenizer" if case["category"] == "tokenizer" else "ok-control"]
    assert run["bytes"] <= good["bytes"] + LIMIT, case["what"]
    result = json.loads(run["stdout"])
    if run["code"] == DONE:
        assert case["expect"] != "warn" or result["problems"]
        return
    # One sentence, the same for people and for programs, that names the file, or a field or word that stands in it.
    sentences = [line for line in run["stderr"].splitlines() if line.startswith("kvista: ")]
    assert len(sentences) == 1 and result["error"]["message"] in sentences[0]
    folder = FOLDER / case["path"]
    names = {case["path"], *(file.name for file in folder.glob("*"))}
    for file in folder.glob("*.json"):
        if file.is_file():
            names |= set(re.findall(r'"([\w.]{3,})"', file.read_text(errors="replace")))
    assert any(name in result["error"]["message"] for name in names)
    assert case["path"] in result["error"]["message"] or not folder.exists()
    hint = result["error"]["hint"]
    assert hint.endswith(".") and hint != result["error"]["message"]


def test_the_window_hears_of_a_damaged_tokenizer_when_it_opens_the_model(runs):
    """Each tokenizer that is refused is a problem of its model, in the sentence of the verb and with its hint."""
    checked = 0
    with Engine() as engine:
        for case in CASES:
            if case["category"] != "tokenizer":
                continue
            opened = engine.answer(engine.ask("open", path=FOLDER / case["path"]))
            assert "code" not in opened, (case["path"], opened)
            run = runs[case["path"]]
            # One that only a text brings to light is damaged where nobody looks before.
            refused = run["code"] == BAD_INPUT and "text" not in json.loads(run["stdout"])["error"]["message"].split()
            assert opened["hasTokenizer"] is not refused, (case["path"], run["stderr"])
            if refused:
                error = json.loads(run["stdout"])["error"]
                assert f"{error['message']} {error['hint']}" in opened["problems"]
                checked += 1
            else:
                assert not any("tokenizer" in problem for problem in opened["problems"])
    assert checked >= 16


def test_sentences_differ(runs):
    """A person can tell from the sentence what is wrong, not only that something is."""
    sentences = {}
    for path, run in runs.items():
        if run["code"] == BAD_INPUT:
            bare = message(run).replace(str(FOLDER), "").replace(path, "")
            sentences.setdefault(bare, []).append(path)
    assert not [paths for paths in sentences.values() if len(paths) > 1]


def test_runs_no_code_of_a_checkpoint(runs):
    assert runs["cfg-auto-map"]["code"] == BAD_INPUT
    assert runs["bin-evil-zip"]["code"] == runs["bin-evil-legacy"]["code"] == BAD_INPUT
    assert not list(FOLDER.rglob("HOSTILE_MARKER")) and not Path("HOSTILE_MARKER").exists()
