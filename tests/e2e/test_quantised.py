# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Quantised checkpoints as their tools write them: the logits are those of the numbers that the codes stand for, worked out here."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, Mxfp4Config
from transformers.integrations.finegrained_fp8 import Fp8Dequantize

from program import BAD_INPUT, MODEL, TEXTS, answer, complaint, run
from quantised_forms import FORMS, READERS, generator

CONFIG = LlamaConfig(
    vocab_size=300, hidden_size=192, intermediate_size=320, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=128
)


@pytest.mark.parametrize("form", READERS)
def test_what_codes_stand_for_is_what_their_library_makes_of_them(form):
    """The numbers of the tests below, that is, to the rounding of the type in which the library answers."""
    quantise, settings = FORMS[form]
    weight = torch.randn(128, 256, generator=generator) / 10
    parts, numbers = quantise("w", weight)
    found = READERS[form](parts, settings).float()
    assert found.shape == numbers.shape
    assert (found - numbers).abs().max() < 2**-8 * numbers.abs().max()
    assert (found - numbers).abs().mean() < 0.1 * (weight - numbers).abs().mean(), "a part of what the codes lose"


@pytest.fixture(scope="module")
def original():
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(CONFIG)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 0, 0.1)
    return model


def write_quantised(original, form, folder, keep=lambda name: True):
    """Writes the checkpoint; answers the numbers that its codes stand for."""
    quantise, settings = FORMS[form]
    state = {name: tensor.detach() for name, tensor in original.state_dict().items()}
    written, numbers = {}, {}
    for name, tensor in state.items():
        if name.endswith("_proj.weight") and keep(name):
            parts, numbers[name] = quantise(name.removesuffix(".weight"), tensor.float())
            written |= {part: value.contiguous() for part, value in parts.items()}
        elif name != "lm_head.weight" or not original.config.tie_word_embeddings:
            written[name] = numbers[name] = tensor
    save_file(written, folder / "model.safetensors")
    config = {**original.config.to_dict(), "architectures": ["LlamaForCausalLM"], "quantization_config": settings}
    (folder / "config.json").write_text(json.dumps(config))
    return numbers


def forward(folder, ids, tmp_path):
    save_file({"input_ids": ids}, tmp_path / "ids.safetensors")
    run("forward", folder, "--input", tmp_path / "ids.safetensors", "-o", tmp_path / "out.safetensors")
    return load_file(tmp_path / "out.safetensors")["logits"]


@pytest.mark.parametrize("form", FORMS)
def test_logits_are_those_of_the_numbers(form, original, tmp_path):
    model = AutoModelForCausalLM.from_config(CONFIG)
    model.load_state_dict(write_quantised(original, form, tmp_path))
    ids = torch.randint(0, 300, (1, 30))
    with torch.no_grad():
        expected, unquantised = model(ids).logits, original(ids).logits
    found = forward(tmp_path, ids, tmp_path)
    assert (found - expected).abs().max() < 1e-4
    assert (found - unquantised).abs().max() > 1e-3, "the codes lose something"
    problems = answer("inspect", tmp_path)["problems"]
    assert len(problems) == 1 and "14 matrices are quantised" in problems[0]


def test_exports_are_plain_in_the_type_that_is_asked_for(tmp_path):
    """Attention is quantised here, the rest in bfloat16 as it was."""
    demo = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.bfloat16)
    model = tmp_path / "model"
    shutil.copytree(MODEL, model)
    numbers = write_quantised(demo, "gptq-4", model, lambda name: "self_attn" in name)
    run("calibrate", model, "--text", TEXTS / "calibration.txt", "--window", 32, "--windows", 2, "--no-response", "-o", tmp_path / "s.kvstats")
    run("plan", model, "--stats", tmp_path / "s.kvstats", "--method", "joint", "--keep", 0.5, "-o", tmp_path / "p.kvista")
    for name, dtype in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        out = tmp_path / name
        run("export", tmp_path / "p.kvista", "--form", "dense", "--factor-dtype", name, "-o", out)
        assert "quantization_config" not in json.loads((out / "config.json").read_text())
        written = load_file(out / "model.safetensors")
        query = "model.layers.0.self_attn.q_proj.weight"
        assert written[query].dtype == dtype and torch.equal(written[query], numbers[query].to(dtype))
        assert written["model.layers.0.mlp.up_proj.weight"].dtype == torch.bfloat16, "carried over as it was"
        assert not [each for each in written if not each.endswith((".weight", ".bias"))], "no codes are left"


EXPERTS = {
    "vocab_size": 300, "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
    "num_experts_per_tok": 2, "max_position_embeddings": 128, "tie_word_embeddings": False,
}


@torch.no_grad()
def write_stacks(family, settings, folder, quantise):
    """A model whose experts lie in stacks, of which `quantise` answers the tensors of a file; the folder with the file and config.json."""
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **EXPERTS, **settings)).float().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.1)
    model.save_pretrained(folder)
    written = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        written |= quantise(name, tensor) if name.endswith(("experts.gate_up_proj", "experts.down_proj")) else {name: tensor}
    save_file(written, folder / "model.safetensors")
    return model


def declare(folder, settings):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": settings}))


@torch.no_grad()
def test_mxfp4_experts_are_those_that_transformers_reads(tmp_path):
    random = torch.Generator().manual_seed(4)

    def quantise(name, tensor):  # any bytes are numbers; scales of 2^-6 to 2^-3
        experts, ins, outs = tensor.shape
        blocks = torch.randint(0, 256, (experts, outs, ins // 32, 16), dtype=torch.uint8, generator=random)
        scales = torch.randint(121, 125, (experts, outs, ins // 32), dtype=torch.uint8, generator=random)
        return {f"{name}_blocks": blocks, f"{name}_scales": scales}

    rope = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "rope_theta": 10000.0, "truncate": False}
    write_stacks("gpt_oss", {"intermediate_size": 64, "num_local_experts": 5, "rope_parameters": rope}, tmp_path, quantise)
    declare(tmp_path, {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "lm_head"]})
    # Their own loader dequantises.
    model = AutoModelForCausalLM.from_pretrained(tmp_path, quantization_config=Mxfp4Config(dequantize=True), dtype=torch.float32).eval()
    ids = torch.randint(0, 300, (1, 30), generator=random)
    expected = model(ids).logits
    assert (forward(tmp_path, ids, tmp_path) - expected).abs().max() < 1e-4 * max(1, expected.std())
    problems = answer("inspect", tmp_path)["problems"]
    assert len(problems) == 1 and "4 matrices are quantised (mxfp4)" in problems[0]


@torch.no_grad()
def test_float8_experts_in_stacks_have_scales_of_blocks_each(tmp_path):
    numbers = {}

    def quantise(name, tensor):
        rows, columns = (-(-length // 32) for length in tensor.shape[1:])
        scales = torch.rand(tensor.shape[0], rows, columns) / 448 + 1e-4
        full = scales.repeat_interleave(32, 1).repeat_interleave(32, 2)
        codes = (tensor / full).clamp(-448, 448).to(torch.float8_e4m3fn)
        numbers[name] = Fp8Dequantize(None)._dequantize_one(codes, scales)
        return {name: codes, f"{name}_scale_inv": scales}

    model = write_stacks("gpt_oss", {"intermediate_size": 64, "num_local_experts": 5}, tmp_path, quantise)
    declare(tmp_path, {"quant_method": "fp8", "weight_block_size": [32, 32]})
    model.load_state_dict({**model.state_dict(), **numbers})
    ids = torch.randint(0, 300, (1, 30))
    expected = model(ids).logits
    assert (forward(tmp_path, ids, tmp_path) - expected).abs().max() < 1e-4 * max(1, expected.std())


def test_what_is_not_read_is_said(original, tmp_path):
    write_quantised(original, "gptq-4", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "aqlm"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    sentence = complaint(run("inspect", tmp_path, code=BAD_INPUT))
    assert "aqlm" in sentence and "gptq" in sentence and "bitsandbytes" in sentence
