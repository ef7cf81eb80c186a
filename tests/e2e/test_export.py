# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Exports of the demo model compute what was planned, refined or compared, and touch nothing else."""

import json
import math
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from demo import EVALUATION, WINDOW, first_layers, left_in, plan
from program import BAD_INPUT, CANCELLED, ENVIRONMENT, MODEL, PROGRAM, TEXTS, USAGE, answer, complaint, run


def test_export(coded_project, exported):
    folder, said = exported
    assert said["form"] == "latent" and said["verified"] is True
    assert said["bytesPerToken"] == coded_project[1]["bytesPerToken"] <= 1024
    assert sorted(said["files"]) == left_in(folder)
    assert "kvista-report.json" in said["files"]
    assert left_in(folder.parent) == [folder.name] + [f"{folder.name}/{name}" for name in left_in(folder)]
    assert answer("verify", folder)["verified"] is True


def test_same_plan_gives_the_same_bytes(coded_project, statistics, exported, tmp_path):
    plan(statistics, tmp_path / "demo.kvista", "--times-smaller", 8)
    again = tmp_path / "smaller"
    run("export", tmp_path / "demo.kvista", "-o", again)
    assert left_in(again) == left_in(exported[0])
    for name in left_in(again):
        assert (again / name).read_bytes() == (exported[0] / name).read_bytes(), name


def test_export_computes_what_the_plan_computes(coded_project, exported):
    planned = answer("evaluate", coded_project[0], *EVALUATION)
    written = answer("evaluate", exported[0], *EVALUATION)
    assert written["perplexity"] == pytest.approx(planned["perplexity"], rel=1e-3)
    assert written["bytesPerToken"] == planned["bytesPerToken"] == coded_project[1]["bytesPerToken"]


def test_verify_finds_a_changed_byte(exported, tmp_path):
    for name in ("model.safetensors", "config.json", "modeling_kvista.py"):
        folder = tmp_path / name
        shutil.copytree(exported[0], folder)
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
        found = run("verify", folder, code=BAD_INPUT)
        assert name in complaint(found).replace(str(folder), "")
        assert found.stderr.count("is not what was written") == 1


def test_verify_finds_a_missing_file(exported, tmp_path):
    folder = tmp_path / "smaller"
    shutil.copytree(exported[0], folder)
    (folder / "tokenizer.json").unlink()
    assert "tokenizer.json" in complaint(run("verify", folder, code=BAD_INPUT))


def test_export_leaves_other_folders_alone(coded_project, statistics, exported, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(MODEL, model)
    moved = tmp_path / "p.kvista"
    document = json.loads(coded_project[0].read_text())
    document["model"]["path"] = str(model)
    document["statistics"]["path"] = str(statistics)
    moved.write_text(json.dumps(document))
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter").write_text("dear")
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in left_in(tmp_path)}
    for target in (model, model / "inside", tmp_path / "full", exported[0]):
        assert target.name in complaint(run("export", moved, "-o", target, code=(USAGE, BAD_INPUT)))
    for target in (model, tmp_path / "full"):
        run("export", moved, "-o", target, "--overwrite", code=USAGE)
    assert "frobs" in complaint(run("export", moved, "-o", tmp_path / "new", "--form", "frobs", code=USAGE))
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in left_in(tmp_path)} == before


def test_dense_export_gives_the_plans_logits(statistics, tmp_path):
    plan(statistics, tmp_path / "p.kvista", "--method", "joint", "--keep", 0.4)
    said = answer("export", tmp_path / "p.kvista", "-o", tmp_path / "dense", "--form", "dense")
    assert said["form"] == "dense" and said["bytesPerToken"] == 8192
    ids = torch.randint(0, 4096, (2, 32), generator=torch.Generator().manual_seed(6))
    save_file({"input_ids": ids}, tmp_path / "ids.safetensors")
    run("forward", tmp_path / "p.kvista", "--input", tmp_path / "ids.safetensors", "-o", tmp_path / "out.safetensors")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "dense", dtype=torch.float32)
    with torch.no_grad():
        logits = model(ids).logits
    torch.testing.assert_close(logits, load_file(tmp_path / "out.safetensors")["logits"], atol=1e-3, rtol=0)


@pytest.mark.parametrize("method", ["joint", "coded-joint", "separate", "kqsvd"])
def test_a_centred_plan_is_exported_with_its_means(method, statistics, tmp_path):
    file, target = tmp_path / "p.kvista", tmp_path / "smaller"
    said = plan(statistics, file, "--method", method, "--share", 0.25, "--centred")
    assert json.loads(file.read_text())["plan"]["centred"] is True and said["share"] <= 0.25
    planned = answer("evaluate", file, *EVALUATION)
    answer("export", file, "-o", target)
    assert answer("evaluate", target, *EVALUATION)["meanNll"] == pytest.approx(planned["meanNll"], abs=1e-3)
    # transformers reads on with a cache of latents as the program does with all tokens at once.
    ids = torch.randint(0, 4096, (1, 24), generator=torch.Generator().manual_seed(8))
    save_file({"input_ids": ids}, tmp_path / "ids.safetensors")
    run("forward", file, "--input", tmp_path / "ids.safetensors", "-o", tmp_path / "out.safetensors")
    expected = load_file(tmp_path / "out.safetensors")["logits"]
    model = AutoModelForCausalLM.from_pretrained(target, trust_remote_code=True, dtype=torch.float32)
    with torch.no_grad():
        first = model(ids[:, :15], use_cache=True)
        then = [model(ids[:, i : i + 1], past_key_values=first.past_key_values, use_cache=True).logits for i in range(15, 24)]
    found = torch.cat([first.logits, *then], 1)
    difference = (found - expected).abs()
    if method != "coded-joint":
        assert difference.max() < 1e-3
    else:  # until a number that lies on the edge of a code falls to its other side
        assert difference[:, :5].max() < 1e-3 and difference.square().mean().sqrt() < 0.05 * expected.std()
    done = run("export", file, "-o", tmp_path / "dense", "--form", "dense", code=USAGE)
    assert "no place for the means" in complaint(done) and not (tmp_path / "dense").exists()


def test_a_compensated_plan_is_exported_as_it_was_compared(tmp_path):
    """The first four layers of the demo model gain from compensation beyond chance, given some 10,000 tokens."""
    model, calibration, file = first_layers(4, tmp_path / "model"), tmp_path / "s.kvstats", tmp_path / "p.kvista"
    run("calibrate", model, "--text", TEXTS / "calibration.txt", "--window", WINDOW, "--windows", 160, "-o", calibration)
    said = answer("plan", model, "--stats", calibration, "-o", file, "--method", "coded-joint", "--times-smaller", 18, "--compensate")
    assert said["compensated"] and json.loads(file.read_text())["plan"]["compensated"]
    note = re.fullmatch(r"Compensated: ([\d.]+) nats a token on held-out text instead of ([\d.]+)\.", said["note"])
    with_, without = map(float, note.groups())
    assert with_ < without
    planned = answer("evaluate", file, *EVALUATION)
    answer("export", file, "-o", tmp_path / "smaller", "--form", "latent")
    assert answer("evaluate", tmp_path / "smaller", *EVALUATION)["meanNll"] == pytest.approx(planned["meanNll"], abs=2e-3)


def test_compress_does_all_of_it(text, original, tmp_path):
    said = answer("compress", MODEL, "--text", text, "--window", WINDOW, "--evaluate-on", TEXTS / "evaluation.txt",
                  "--evaluate-windows", 4, "--times-smaller", 8, "-o", tmp_path / "smaller")
    assert said["bytesPerTokenBefore"] == 8192 and 900 < said["bytesPerTokenAfter"] <= 1024
    assert said["perplexityBefore"] == pytest.approx(original["perplexity"], rel=1e-4)
    assert said["predictedPerplexity"] == pytest.approx(said["perplexityAfter"], rel=0.05)
    assert left_in(tmp_path)[0] == "smaller" and all(name.startswith("smaller") for name in left_in(tmp_path))
    assert answer("evaluate", tmp_path / "smaller", *EVALUATION)["perplexity"] == pytest.approx(
        said["perplexityAfter"], rel=1e-3
    )


def test_refined_factors_are_part_of_the_project(text, tmp_path):
    """They are what is measured and exported; an edited plan is computed as planned, and that is said."""
    project, model = tmp_path / "p.kvista", first_layers(4, tmp_path / "model")
    run("calibrate", model, "--text", text, "--window", WINDOW, "--no-response", "-o", tmp_path / "s.kvstats")
    run("plan", model, "--stats", tmp_path / "s.kvstats", "--method", "joint", "--keep", 0.1, "-o", project)
    planned = answer("evaluate", project, *EVALUATION)["perplexity"]
    refined = answer("refine", project, "--text", TEXTS / "calibration.txt", "--window", WINDOW, "--windows", 48, "--steps", 15,
                     "--windows-per-step", 8, "--evaluate-on", TEXTS / "evaluation.txt", "--evaluate-windows", 4)
    assert refined["divergenceAfter"] < 0.95 * refined["divergenceBefore"]
    assert refined["perplexityOnOtherText"]["before"] == pytest.approx(planned, rel=1e-5)
    measured = answer("evaluate", project, *EVALUATION)["perplexity"]
    assert measured == pytest.approx(refined["perplexityOnOtherText"]["after"], rel=1e-5)
    assert measured < planned
    exported = answer("export", project, "-o", tmp_path / "export", "--form", "latent")
    assert exported["verified"] and exported["bytesPerToken"] == refined["bytesPerToken"]
    assert answer("evaluate", tmp_path / "export", *EVALUATION)["perplexity"] == pytest.approx(measured, rel=1e-4)

    # The verbs that ask the engine's methods, and the report, compute with them too; what was measured is kept.
    assert answer("losses", project, *EVALUATION)["meanAfter"] == pytest.approx(math.log(measured), rel=1e-5)
    result, = json.loads(project.read_text())["results"]
    assert result["perplexityAfter"] == pytest.approx(measured, rel=1e-5)
    errors = answer("errors", project)
    planned_only = json.loads(project.read_text())
    del planned_only["refined"]
    (tmp_path / "planned.kvista").write_text(json.dumps(planned_only))
    assert answer("errors", tmp_path / "planned.kvista") != errors

    edited = json.loads(project.read_text())
    edited["refined"]["planFingerprint"] = "0" * 16
    (tmp_path / "edited.kvista").write_text(json.dumps(edited))
    done = run("evaluate", tmp_path / "edited.kvista", *EVALUATION, "--json")
    assert json.loads(done.stdout)["perplexity"] == pytest.approx(planned, rel=1e-6)
    assert "earlier plan" in done.stderr
    Path(refined["factors"]).unlink()
    assert "refined.safetensors does not exist" in complaint(run("evaluate", project, *EVALUATION, code=BAD_INPUT))


def test_refining_refuses_and_ends_cleanly(coded_project, statistics, text, tmp_path):
    file = tmp_path / "p.kvista"
    shutil.copy(coded_project[0], file)
    planned = json.loads(file.read_text())
    planned["model"]["path"], planned["statistics"]["path"] = str(MODEL), str(statistics)
    file.write_text(json.dumps(planned))
    before = file.read_bytes()
    refine = ["refine", file, "--text", text, "--window", WINDOW]
    assert "held out" in complaint(run(*refine, "--windows", 1, code=(USAGE, BAD_INPUT)))
    (tmp_path / "empty.txt").write_text("")
    assert "0 tokens" in complaint(run("refine", file, "--text", tmp_path / "empty.txt", "--window", WINDOW, code=(USAGE, BAD_INPUT)))
    assert "missing.txt" in complaint(run("refine", file, "--text", tmp_path / "missing.txt", code=BAD_INPUT))
    assert "--steps" in complaint(run(*refine, "--steps", 0, code=USAGE))
    assert "--minutes" in complaint(run(*refine, "--minutes", "soon", code=USAGE))
    run("plan", MODEL, "--stats", statistics, "--method", "plain", "--share", 0.3, "-o", tmp_path / "plain.kvista")
    assert "no factors" in complaint(run("refine", tmp_path / "plain.kvista", "--text", text, "--window", WINDOW, code=(USAGE, BAD_INPUT)))

    process = subprocess.Popen(
        [PROGRAM, *map(str, refine), "--steps", "100000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    for line in process.stderr:
        if line.startswith("refine:"):
            break
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == CANCELLED and out == ""
    assert file.read_bytes() == before
    assert set(left_in(tmp_path)) <= {"p.kvista", "plain.kvista", "empty.txt", "p.refined.safetensors.partial"}
