# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration on the demo model, and what statistics and a plan are asked."""

import json
import shutil
import signal
import subprocess

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from demo import EVALUATION, WINDOW, calibrate, left_in, plan
from program import CANCELLED, ENVIRONMENT, MODEL, PROGRAM, TEXTS, USAGE, answer, complaint, run


def test_calibrate(calibrated):
    file, said = calibrated
    assert said["tokens"] == said["windows"] * WINDOW and said["tokens"] > 1000
    assert said["seconds"] > 0 and said["device"] == "cpu"
    assert left_in(file.parent) == [file.name]


def test_progress_goes_to_standard_error(text, tmp_path):
    done = run("calibrate", MODEL, "--text", text, "--window", WINDOW, "--windows", 2, "--no-gradients", "-o", tmp_path / "s")
    assert "tokens" in done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_shards_merge_into_one_pass(text, tmp_path):
    calibrate(text, tmp_path / "all", "--windows", 16)
    for shard, skipped in (("a", 0), ("b", 8)):
        calibrate(text, tmp_path / shard, "--windows", 8, "--skip-windows", skipped)
    merged = answer("merge", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "merged")
    assert merged["tokens"] == 16 * WINDOW
    whole, parts = (
        plan(tmp_path / name, tmp_path / "p.kvista", "--method", "joint", "--keep", 0.4) for name in ("all", "merged")
    )
    assert parts["ranks"] == whole["ranks"]
    assert parts["predictedPerplexity"] == pytest.approx(whole["predictedPerplexity"], rel=1e-4)
    for side in "kv":
        matrices = [
            torch.tensor(answer("similarity", MODEL, "--stats", tmp_path / name, "--side", side)["matrix"])
            for name in ("all", "merged")
        ]
        torch.testing.assert_close(*matrices, atol=1e-4, rtol=0)


def test_shards_that_overlap_are_not_merged(text, tmp_path):
    """The same windows twice would count double."""
    for name, windows in (("part", 2), ("all", 4)):
        calibrate(text, tmp_path / name, "--windows", windows, "--no-gradients")
    for first in ("part", "all"):
        run("merge", tmp_path / first, tmp_path / "all", "-o", tmp_path / "double", code=USAGE)
    assert left_in(tmp_path) == ["all", "part"]


def test_interrupt_leaves_nothing_and_can_be_taken_up(text, tmp_path):
    calibrate(text, tmp_path / "whole")
    folder = tmp_path / "interrupted"
    folder.mkdir()
    command = ["calibrate", MODEL, "--text", text, "--window", WINDOW, "--no-response", "-o", folder / "s"]
    process = subprocess.Popen(
        [PROGRAM, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    for line in process.stderr:
        if line.startswith("calibrate"):
            break
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)  # half a second where no other program takes the cores
    assert process.returncode == CANCELLED and out == ""
    assert set(left_in(folder)) <= {"s.partial"}
    run(*command)
    assert left_in(folder) == ["s"]
    whole, again = (plan(file, tmp_path / "p.kvista") for file in (tmp_path / "whole", folder / "s"))
    assert again == whole


def test_keeping_no_activations_gives_the_same_statistics(text, tmp_path):
    plans = []
    for kept in (0, 1000):
        calibrate(text, tmp_path / "s", "--windows", 2, "--keep-activations", kept)
        plans.append(plan(tmp_path / "s", tmp_path / "p.kvista"))
    assert plans[0]["widths"] == plans[1]["widths"]
    assert plans[0]["basePerplexity"] == pytest.approx(plans[1]["basePerplexity"], rel=1e-5)


MEASURES = ["cka", "cka-centred", "cka-sink-free", "cka-rotated", "cka-released", "subspace", "subspace-rotated", "svcca", "svcca-rotated",
            "weight-cosine", "attention"]


def test_list_has_the_measures():
    assert set(MEASURES) <= {entry["name"] for entry in answer("list", "measures")["measures"]}


@pytest.mark.parametrize("side", "kv")
@pytest.mark.parametrize("measure", MEASURES)
def test_similarity(statistics, measure, side):
    matrix = torch.tensor(
        answer("similarity", MODEL, "--stats", statistics, "--layer", 3, "--side", side, "--measure", measure)["matrix"]
    )
    assert matrix.shape == (8, 8)
    torch.testing.assert_close(matrix, matrix.T)
    torch.testing.assert_close(matrix.diagonal(), torch.ones(8))
    assert matrix.min() >= 0 and matrix.max() <= 1 + 1e-6


def test_forward_equals_transformers(tmp_path):
    ids = torch.randint(0, 4096, (2, 32), generator=torch.Generator().manual_seed(5))
    save_file({"input_ids": ids}, tmp_path / "ids.safetensors")
    run("forward", MODEL, "--input", tmp_path / "ids.safetensors", "-o", tmp_path / "out.safetensors", "--gradients")
    out = load_file(tmp_path / "out.safetensors")

    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    projected = {}
    for i, layer in enumerate(model.model.layers):
        for side, projection in (("k", layer.self_attn.k_proj), ("v", layer.self_attn.v_proj)):

            def keep(module, inputs, output, name=f"{side}_{i}"):
                output.retain_grad()
                projected[name] = output

            projection.register_forward_hook(keep)
    result = model(ids, output_hidden_states=True)
    log_likelihoods = result.logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None])
    (-log_likelihoods.sum()).backward()
    expected = {"logits": result.logits, "hidden_last": result.hidden_states[-1]}
    for name, tensor in projected.items():
        expected[name] = tensor
        expected[f"grad_{name}"] = tensor.grad
    assert set(out) == set(expected)
    for name, tensor in expected.items():
        found = out[name].reshape(tensor.shape)
        if name.startswith("grad"):
            assert (found - tensor).norm() <= 1e-3 * tensor.norm(), name
        else:
            torch.testing.assert_close(found, tensor.detach(), atol=1e-4, rtol=0, msg=lambda m, name=name: f"{name}: {m}")


def test_generate(coded_project):
    prompt = ["--prompt", "It is a truth", "--tokens", 12]
    alone, both = answer("generate", MODEL, *prompt), answer("generate", coded_project[0], *prompt)
    assert set(alone) == {"original"} and alone["original"] == both["original"]
    # The likeliest token each time, as transformers takes it.
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    ids = answer("tokenize", MODEL, stdin=prompt[1])["ids"]
    whole = model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)[0, len(ids) :].tolist()
    assert alone["original"]["text"] == answer("detokenize", MODEL, *whole)["text"]
    # A cache holds what was read: all but the last token that was written. 4 tokens of a coded plan stay exact.
    tokens = len(ids) + 11
    assert alone["original"]["tokens"] == tokens and alone["original"]["cacheBytes"] == tokens * 8192
    assert both["plan"]["cacheBytes"] == 4 * 8192 + (tokens - 4) * coded_project[1]["bytesPerToken"]
    drawn = [answer("generate", coded_project[0], *prompt, "--temperature", 1, "--seed", seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] and drawn[0]["original"]["text"] != drawn[2]["original"]["text"]
    shown = run("generate", coded_project[0], *prompt)
    assert both["plan"]["text"] in shown.stdout and "of cache" in shown.stdout
    assert "no chat template" in complaint(run("generate", MODEL, *prompt, "--chat", code=USAGE))


def test_losses(coded_project, original, text):
    windows = ["--text", TEXTS / "evaluation.txt", "--window", WINDOW, "--windows", 4]
    found = answer("losses", coded_project[0], *windows)
    assert found["predictions"] == 4 * (WINDOW - 1) and len(found["pieces"]) == 4 * WINDOW
    for losses in (found["before"], found["after"]):  # the first of each window is predicted from nothing
        assert [i for i, loss in enumerate(losses) if loss is None] == [0, WINDOW, 2 * WINDOW, 3 * WINDOW]
    assert found["meanBefore"] == pytest.approx(original["meanNll"], rel=1e-6)
    assert found["meanAfter"] == pytest.approx(answer("evaluate", coded_project[0], *EVALUATION)["meanNll"], rel=1e-6)
    # A whole file, its last window shorter.
    ids = answer("tokenize", MODEL, "--text-file", text, "--no-special")["ids"]
    whole = answer("losses", MODEL, "--text", text, "--window", WINDOW)
    assert "".join(whole["pieces"]) == text.read_text() and len(whole["before"]) == len(ids)
    assert whole["predictions"] == len(ids) - -(-len(ids) // WINDOW) and "after" not in whole
    # Each token's own number, as transformers says it.
    words = "It is a truth universally acknowledged"
    typed = answer("losses", MODEL, "--words", words)
    ids = torch.tensor([answer("tokenize", MODEL, stdin=words)["ids"]])
    logits = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)(ids).logits
    expected = -logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
    assert typed["before"][1:] == pytest.approx(expected.tolist(), abs=2e-4)
    assert len(run("losses", coded_project[0], *windows).stdout.splitlines()) == 12
    assert len(answer("losses", MODEL, "--text", "-", stdin=words)["pieces"]) > 4


def test_errors_and_spectra(coded_project, statistics, tmp_path):
    found = answer("errors", coded_project[0])
    assert set(found) == {"keys", "values", "keyLoss", "valueLoss", "logits", "attentionOutputs"}
    for rows in found.values():
        assert len(rows) == 8 and all(len(row) == 8 for row in rows)
        assert all(0 <= number < 1.5 for row in rows for number in row)
    # What the heads lose adds up to what the plan was said to lose.
    total = sum(number for name in ("keyLoss", "valueLoss") for row in found[name] for number in row)
    assert total == pytest.approx(coded_project[1]["predictedLossRaw"], rel=0.05)
    assert run("errors", coded_project[0]).stdout.count("by layer") == 4

    spectra = answer("spectra", MODEL, "--stats", statistics)["spectra"]
    assert [(each["layer"], each["side"]) for each in spectra] == [(i, side) for i in range(8) for side in ("key", "value")]
    for each in spectra:
        values = torch.tensor(each["singularValues"], dtype=torch.float64)
        part = values / values.sum()
        rank = (-(part * part.clamp_min(1e-300).log()).sum()).exp().item()
        assert each["effectiveRank"] == pytest.approx(rank, rel=1e-6)
        assert each["normalisedEffectiveRank"] == pytest.approx(rank / 256, rel=1e-6)
        squares = values.square().cumsum(0)
        assert each["energyRank99"] == int((squares < 0.99 * squares[-1]).sum()) + 1
    assert answer("spectra", coded_project[0], "--layers", 3)["spectra"] == spectra[6:8]
    assert "There is no layer 8" in complaint(run("spectra", MODEL, "--stats", statistics, "--layers", 8, code=USAGE))
    assert any("few" in warning for warning in answer("spectra", MODEL, "--stats", statistics, "--layers", 3)["warnings"])
    both = answer("spectra", MODEL, "--stats", statistics, statistics, "--layers", 3, "--heads", "--position", "after")
    assert len(both["texts"]) == 2 and len(both["spectra"]) == 2 * 16 and {each["head"] for each in both["spectra"]} == set(range(8))
    page = tmp_path / "spectra.html"
    cut = answer("spectra", MODEL, "--stats", statistics, "--layers", 0, 3, 7, "--truncate", 1, 0.2, "--windows", 2, "-o", page)
    assert all(each["loss"] == 0 for each in cut["truncation"] if each["kept"] == 1)
    assert [each["kept"] for each in cut["correlations"]] == [1, 0.2] and -1 <= cut["correlations"][1]["spearman"] <= 1
    shown = page.read_text()
    assert shown.count("keys: ") == shown.count("values: ") == 2 * 3 and f"Spearman {cut['correlations'][1]['spearman']:+.3f}" in shown
    assert all(f">{each['normalisedEffectiveRank']:.3f}</td>" in shown for each in cut["spectra"])
    assert "script" not in shown and "http" not in shown


def test_spectra_of_two_models(statistics, tmp_path):
    shallow = tmp_path / "shallow"
    shutil.copytree(MODEL, shallow)
    config = json.loads((shallow / "config.json").read_text())
    (shallow / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    own = tmp_path / "own.kvstats"
    answer("calibrate", shallow, "--text", TEXTS / "calibration.txt", "--window", 64, "--windows", 4, "--no-response", "-o", own)
    page = tmp_path / "spectra.html"
    found = answer("spectra", MODEL, shallow, "--stats", own, statistics, "--truncate", 0.5, "--windows", 1, "-o", page)
    assert [(each["model"], each["statistics"]) for each in found["texts"]] == [("model", str(statistics)), ("shallow", str(own))]
    assert [each["text"] for each in found["spectra"]] == [0] * 16 + [1] * 4
    alone = answer("spectra", shallow, "--stats", own)["spectra"]
    assert [each["normalisedEffectiveRank"] for each in alone] == [each["normalisedEffectiveRank"] for each in found["spectra"][16:]]
    assert len(found["truncation"]) == 20 and page.read_text().count("<td></td>") == 2 * 6
    assert "of none of the models" in complaint(run("spectra", shallow, shallow, "--stats", own, statistics, code=USAGE))
    assert "Of 1 file of statistics none is of" in complaint(run("spectra", MODEL, shallow, "--stats", own, code=USAGE))


def test_retrieval(coded_project):
    options = ["--lengths", 64, 128, "--depths", 0, 100, "--trials", 2, "--seed", 3]
    found = answer("retrieval", coded_project[0], *options)
    assert (found["lengths"], found["depths"], found["trials"]) == ([64, 128], [0, 100], 2)
    for side in ("original", "plan"):
        assert all(loss > 0 for row in found[side]["loss"] for loss in row)
        assert all(part in (0, 0.5, 1) for row in found[side]["found"] for part in row)
    assert found["original"]["loss"] != found["plan"]["loss"]
    assert answer("retrieval", coded_project[0], *options) == found
    alone = answer("retrieval", MODEL, *options, "--text", *found["texts"])
    assert alone["original"] == found["original"] and "plan" not in alone
    shown = run("retrieval", coded_project[0], *options).stdout
    assert "128 tokens" in shown and f"{found['plan']['loss'][1][1]:.3f}" in shown


def test_asks_only_what_a_projects_plan_was_made_for(coded_project, statistics, text, tmp_path):
    changed = json.loads(coded_project[0].read_text())
    changed["model"]["path"], changed["statistics"]["path"] = str(MODEL), str(statistics)
    changed["model"]["hash"] = "0123456789abcdef"
    file = tmp_path / "p.kvista"
    file.write_text(json.dumps(changed))
    assert "has changed since the plan was made" in complaint(run("losses", file, "--text", text, code=USAGE))
