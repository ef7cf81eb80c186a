# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Models of random weights: written ones are what transformers reads, virtual ones hold the same numbers."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from program import BAD_INPUT, TEXTS, USAGE, answer, complaint, measured, run

SHAPE = ["--shape", "smollm2-135m", "--layers", 2, "--seed", 5]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The same model written and virtual."""
    folder = tmp_path_factory.mktemp("models")
    for name, options in (("written", []), ("virtual", ["--virtual"])):
        answer("make-model", *SHAPE, *options, "-o", folder / name)
    return folder / "written", folder / "virtual"


def size(folder):
    return sum(file.stat().st_size for file in folder.iterdir())


def test_transformers_reads_the_written_one_and_computes_the_same(models, tmp_path):
    written, _ = models
    ids = torch.tensor([[256, *"Grüße – one token a byte.".encode()]])
    tokenizer = AutoTokenizer.from_pretrained(written)
    assert tokenizer(tokenizer.decode(ids[0, 1:]))["input_ids"] == ids[0, 1:].tolist()
    assert answer("tokenize", written, stdin="Grüße – one token a byte.")["ids"] == ids[0, 1:].tolist()
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(written, dtype=torch.float32)(ids).logits
    assert expected.isfinite().all() and 0.1 < expected.std() < 10
    save_file({"input_ids": ids}, tmp_path / "ids.safetensors")
    run("forward", written, "--input", tmp_path / "ids.safetensors", "-o", tmp_path / "out.safetensors")
    assert (load_file(tmp_path / "out.safetensors")["logits"] - expected).abs().max() < 1e-4


def test_both_give_the_same_smaller_model_byte_for_byte(models, tmp_path):
    """Statistics, plan and a dense export: every tensor of the file is either carried over or computed from others."""
    written, virtual = models
    assert size(virtual) < 20_000 < 70_000_000 < size(written)
    assert answer("inspect", written)["parameters"] == answer("inspect", virtual)["parameters"] == 35_392_320
    for model in models:
        kept = tmp_path / model.name
        run("calibrate", model, "--text", TEXTS / "calibration.txt", "--window", 32, "--windows", 2, "--no-response", "-o", f"{kept}.kvstats")
        run("plan", model, "--stats", f"{kept}.kvstats", "--method", "joint", "--keep", 0.5, "-o", f"{kept}.kvista")
        run("export", f"{kept}.kvista", "--form", "dense", "-o", kept)
    assert (tmp_path / "written/model.safetensors").read_bytes() == (tmp_path / "virtual/model.safetensors").read_bytes()
    original, smaller = load_file(written / "model.safetensors"), load_file(tmp_path / "virtual/model.safetensors")
    changed = {name for name in original if not torch.equal(original[name], smaller[name])}
    assert changed == {f"model.layers.{layer}.self_attn.{side}_proj.weight" for layer in (0, 1) for side in "kv"}


def test_what_cannot_be_made_is_refused_and_leaves_nothing(models, tmp_path):
    assert "exists already" in complaint(run("make-model", *SHAPE, "-o", models[0], code=BAD_INPUT))
    assert "llama-2-7b" in complaint(run("make-model", "--shape", "llama-2-7c", "-o", tmp_path / "x", code=USAGE))
    assert "has 32 layers; it cannot be made with 33" in complaint(
        run("make-model", "--shape", "llama-2-7b", "--layers", 33, "--virtual", "-o", tmp_path / "x", code=USAGE)
    )
    assert not list(tmp_path.iterdir())


def test_a_marker_that_contradicts_the_configuration_is_refused(models, tmp_path):
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((models[1] / name).read_bytes())
    marker = json.loads((models[1] / "kvista-virtual.json").read_text())
    marker["tensors"]["model.layers.1.self_attn.k_proj.weight"]["shape"] = [192, 577]
    (tmp_path / "kvista-virtual.json").write_text(json.dumps(marker))
    sentence = complaint(run("inspect", tmp_path, code=BAD_INPUT))
    assert "model.layers.1.self_attn.k_proj.weight" in sentence and "[192, 577]" in sentence and "[192, 576]" in sentence


def test_streamed_layers_need_the_memory_of_two_and_give_the_same_numbers(tmp_path):
    """14 MB a layer in float32."""
    model = tmp_path / "model"
    run("make-model", "--shape", "smollm2-135m", "--layers", 12, "--virtual", "-o", model)
    command = ["evaluate", model, "--text", TEXTS / "evaluation.txt", "--window", 32, "--windows", 2, "--json"]
    resident, streamed = measured([command, [*command, "--stream-layers"]])
    assert resident["code"] == streamed["code"] == 0, streamed["stderr"]
    assert json.loads(streamed["stdout"])["perplexity"] == pytest.approx(json.loads(resident["stdout"])["perplexity"], rel=1e-6)
    layer = 4 * (2 * 576 * 576 + 2 * 192 * 576 + 3 * 576 * 1536)
    assert resident["bytes"] - streamed["bytes"] > 0.8 * (12 - 2) * layer
