# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""A LoRA adapter opened like a model: logits, plan and export are those of the model with the factors added."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from program import BAD_INPUT, MODEL, TEXTS, answer, complaint, run
from test_quantised import write_quantised

RANK, ALPHA = 4, 12
TARGETS = ["q_proj", "v_proj", "down_proj"]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """Folders of the base and of an adapter with random factors, and the model that they make."""
    folder = tmp_path_factory.mktemp("adapter")
    base, tuned = folder / "base", folder / "tuned"
    shutil.copytree(MODEL, base)
    tuned.mkdir()
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    generator = torch.Generator().manual_seed(2)
    factors = {}
    for name, module in model.named_modules():
        if name.split(".")[-1] in TARGETS:
            a = torch.randn(RANK, module.in_features, generator=generator) / module.in_features**0.5
            b = torch.randn(module.out_features, RANK, generator=generator) * 0.02
            factors |= {f"base_model.model.{name}.lora_A.weight": a, f"base_model.model.{name}.lora_B.weight": b}
            module.weight.data += b @ a * (ALPHA / RANK)
    save_file(factors, tuned / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": ALPHA, "target_modules": TARGETS}
    (tuned / "adapter_config.json").write_text(json.dumps({**settings, "base_model_name_or_path": "somewhere/base", "fan_in_fan_out": False}))
    return base, tuned, model


def logits(folder, ids, tmp_path):
    save_file({"input_ids": ids}, tmp_path / "ids.safetensors")
    run("forward", folder, "--input", tmp_path / "ids.safetensors", "-o", tmp_path / "out.safetensors")
    return load_file(tmp_path / "out.safetensors")["logits"]


def test_logits_are_those_of_the_sum(adapter, tmp_path):
    base, tuned, model = adapter
    ids = torch.randint(0, 4096, (1, 40))
    with torch.no_grad():
        expected = model(ids).logits
    assert (logits(tuned, ids, tmp_path) - expected).abs().max() < 1e-3
    assert (logits(base, ids, tmp_path) - expected).abs().max() > 0.1
    problems = answer("inspect", tuned)["problems"]
    assert len(problems) == 1 and "changes 24 tensors" in problems[0] and str(base) in problems[0]
    # The same adapter in PyTorch's own file.
    binary = tuned.parent / "binary"
    binary.mkdir()
    shutil.copy(tuned / "adapter_config.json", binary)
    torch.save(load_file(tuned / "adapter_model.safetensors"), binary / "adapter_model.bin")
    assert (logits(binary, ids, tmp_path) - expected).abs().max() < 1e-3


def test_an_export_holds_the_sum_and_the_tokenizer(adapter, tmp_path):
    _, tuned, model = adapter
    run("calibrate", tuned, "--text", TEXTS / "calibration.txt", "--window", 32, "--windows", 2, "--no-response", "-o", tmp_path / "s.kvstats")
    run("plan", tuned, "--stats", tmp_path / "s.kvstats", "--method", "joint", "--keep", 0.5, "-o", tmp_path / "p.kvista")
    run("export", tmp_path / "p.kvista", "--form", "dense", "-o", tmp_path / "out")
    written = load_file(tmp_path / "out/model.safetensors")
    for name in ("model.layers.3.self_attn.q_proj.weight", "model.layers.3.mlp.down_proj.weight"):
        assert (written[name] - model.state_dict()[name]).abs().max() < 1e-5, "the sum, not rounded"
    assert written["model.layers.3.mlp.up_proj.weight"].dtype == torch.bfloat16, "as the base has it"
    assert (tmp_path / "out/tokenizer.json").is_file()


def test_the_base_may_be_quantised(adapter, tmp_path):
    """As QLoRA leaves it: the sum is that of the numbers which the codes stand for."""
    base, tuned, _ = adapter
    shutil.copytree(base, tmp_path / "base")
    shutil.copytree(tuned, tmp_path / "tuned")
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model.load_state_dict(write_quantised(model, "nf4-nested", tmp_path / "base"), strict=False)
    factors = load_file(tuned / "adapter_model.safetensors")
    for name, module in model.named_modules():
        if name.split(".")[-1] in TARGETS:
            a, b = (factors[f"base_model.model.{name}.lora_{part}.weight"] for part in "AB")
            module.weight.data += b @ a * (ALPHA / RANK)
    ids = torch.randint(0, 4096, (1, 40))
    with torch.no_grad():
        expected = model(ids).logits
    assert (logits(tmp_path / "tuned", ids, tmp_path) - expected).abs().max() < 1e-3
    assert len(answer("inspect", tmp_path / "tuned")["problems"]) == 2, "both are said"


def test_modules_that_the_base_lacks_are_named(adapter, tmp_path):
    base, tuned, _ = adapter
    shutil.copytree(base, tmp_path / "base")
    shutil.copytree(tuned, tmp_path / "tuned")
    factors = load_file(tuned / "adapter_model.safetensors")
    renamed = {name.replace("layers.7.", "layers.8."): tensor for name, tensor in factors.items()}
    save_file(renamed, tmp_path / "tuned/adapter_model.safetensors")
    assert "layers.8." in complaint(run("inspect", tmp_path / "tuned", code=BAD_INPUT))
    shutil.rmtree(tmp_path / "base")
    assert "somewhere/base" in complaint(run("inspect", tmp_path / "tuned", code=BAD_INPUT))
