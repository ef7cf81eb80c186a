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

CONFIG = LlamaConfig(
    vocab_size=300, hidden_size=192, intermediate_size=320, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=128
)
generator = torch.Generator().manual_seed(11)


def packed(codes, bits):
    """Codes [n, m] as one run of bits down each column, in words of 32, lowest first."""
    bit = (codes.long().unsqueeze(1) >> torch.arange(bits).view(1, -1, 1)) & 1  # [n, bits, m]
    words = bit.reshape(-1, 32, codes.shape[1]) << torch.arange(32).view(1, -1, 1)
    return words.sum(1).to(torch.uint32).view(torch.int32)


def grouped(weight, bits, group):
    """Codes [in, out], zero points and scales [groups, out] of a weight [out, in], and which group each input belongs to."""
    groups = weight.shape[1] // group
    blocks = weight.t().reshape(groups, group, -1)
    low, high = blocks.amin(1), blocks.amax(1)
    scale = ((high - low) / (2**bits - 1)).half()
    zero = (-low / scale).round().clamp(0, 2**bits - 1)
    codes = (blocks / scale.unsqueeze(1) + zero.unsqueeze(1)).round().clamp(0, 2**bits - 1)
    return codes.reshape(-1, weight.shape[0]), zero, scale, torch.arange(groups).repeat_interleave(group)


def gptq(bits, group, act_order, version):
    def quantise(name, weight):
        order = torch.randperm(weight.shape[1], generator=generator) if act_order else torch.arange(weight.shape[1])
        codes, zero, scale, index = grouped(weight[:, order], bits, group)
        back = order.argsort()
        codes, index = codes[back], index[back]
        dequantised = ((codes - zero[index]) * scale[index].float()).t()
        stored = (zero - int(version == "gptq")).long() & (2**bits - 1)
        tensors = {"qweight": packed(codes, bits), "qzeros": packed(stored.t(), bits).t(), "scales": scale}
        if act_order:
            tensors["g_idx"] = index.int()
        return {f"{name}.{part}": tensor for part, tensor in tensors.items()}, dequantised

    settings = {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": act_order, "sym": False, "checkpoint_format": version}
    return quantise, settings


def awq():
    order = torch.tensor([0, 2, 4, 6, 1, 3, 5, 7])  # which output each four bits of a word belong to

    def pack(codes):
        shuffled = codes.long().reshape(codes.shape[0], -1, 8)[..., order]
        return (shuffled << (4 * torch.arange(8))).sum(-1).to(torch.uint32).view(torch.int32)

    def quantise(name, weight):
        codes, zero, scale, index = grouped(weight, 4, 64)
        tensors = {"qweight": pack(codes), "qzeros": pack(zero), "scales": scale}
        return {f"{name}.{part}": tensor for part, tensor in tensors.items()}, ((codes - zero[index]) * scale[index].float()).t()

    return quantise, {"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True, "version": "gemm"}


def float8(scale_of, part, settings):
    def quantise(name, weight):
        scale = scale_of(weight)
        full = scale
        if scale.dim() == 2 and scale.shape[1] > 1:
            full = scale.repeat_interleave(128, 0)[: weight.shape[0]].repeat_interleave(128, 1)[:, : weight.shape[1]]
        codes = (weight / full).to(torch.float8_e4m3fn)
        tensors = {f"{name}.weight": codes, f"{name}.{part}": scale, f"{name}.input_scale": torch.ones(1)}
        return tensors, codes.float() * full

    return quantise, settings


def by_blocks(weight):
    rows, columns = -(-weight.shape[0] // 128), -(-weight.shape[1] // 128)
    largest = [[weight[i * 128 : (i + 1) * 128, j * 128 : (j + 1) * 128].abs().max() for j in range(columns)] for i in range(rows)]
    return torch.tensor(largest) / 448


def by_rows(weight):
    return weight.abs().amax(1, keepdim=True) / 448


def by_tensor(weight):
    return (weight.abs().max() / 448).reshape(1)


NF4 = [-1.0, -0.6961928, -0.52507305, -0.39491749, -0.28444138, -0.18477343, -0.09105004, 0.0, 0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0]
FP4 = [0.0, 0.00520833, 0.66666667, 1.0, 0.33333333, 0.5, 0.16666667, 0.25, -0.0, -0.00520833, -0.66666667, -1.0, -0.33333333, -0.5, -0.16666667, -0.25]


def four_bits(kind, nested):
    table = torch.tensor(NF4 if kind == "nf4" else FP4)

    def quantise(name, weight):
        blocks = weight.reshape(-1, 64)
        absmax = blocks.abs().amax(1)
        state = {"quant_type": kind, "blocksize": 64, "dtype": "bfloat16", "shape": list(weight.shape)}
        parts = {}
        if nested:
            offset = absmax.mean()
            scales = torch.nn.functional.pad(absmax - offset, (0, -len(absmax) % 256)).reshape(-1, 256).abs().amax(1)
            nested_map = torch.linspace(-1, 1, 256)
            rest = (absmax - offset) / scales.repeat_interleave(256)[: len(absmax)]
            codes = (rest.unsqueeze(1) - nested_map).abs().argmin(1)
            absmax = nested_map[codes] * scales.repeat_interleave(256)[: len(codes)] + offset
            parts = {"absmax": codes.to(torch.uint8), "nested_absmax": scales, "nested_quant_map": nested_map}
            state |= {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": offset.item()}
        else:
            parts = {"absmax": absmax}
        codes = (blocks / absmax.unsqueeze(1)).unsqueeze(-1).sub(table).abs().argmin(-1)
        pairs = codes.reshape(-1, 2)
        parts["quant_map"] = table.clone()
        parts[f"quant_state.bitsandbytes__{kind}"] = torch.tensor(list(json.dumps(state).encode()), dtype=torch.uint8)
        tensors = {f"{name}.weight": (pairs[:, 0] * 16 + pairs[:, 1]).to(torch.uint8).unsqueeze(1)}
        tensors |= {f"{name}.weight.{part}": tensor for part, tensor in parts.items()}
        return tensors, (table[codes] * absmax.unsqueeze(1)).reshape(weight.shape)

    return quantise, {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": kind, "bnb_4bit_use_double_quant": nested}


def int8():
    def quantise(name, weight):
        largest = weight.abs().amax(1)
        codes = (weight / largest.unsqueeze(1) * 127).round().to(torch.int8)
        tensors = {f"{name}.weight": codes, f"{name}.SCB": largest, f"{name}.weight_format": torch.tensor(0, dtype=torch.uint8)}
        return tensors, codes.float() * largest.unsqueeze(1) / 127

    return quantise, {"load_in_8bit": True}


def packed_integers():
    def quantise(name, weight):
        groups = weight.reshape(weight.shape[0], -1, 64)
        scale = (groups.abs().amax(2) / 7).to(torch.bfloat16)
        codes = (groups / scale.unsqueeze(2).float()).round().clamp(-8, 7)
        words = packed(codes.reshape(weight.shape).t() + 8, 4).t()
        tensors = {"weight_packed": words, "weight_scale": scale, "weight_shape": torch.tensor(weight.shape)}
        return {f"{name}.{part}": tensor for part, tensor in tensors.items()}, (codes * scale.unsqueeze(2).float()).reshape(weight.shape)

    group = {"weights": {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 64}, "targets": ["Linear"]}
    return quantise, {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": group}}


FORMS = {
    "gptq-4": gptq(4, 64, False, "gptq"),
    "gptq-4-act-order": gptq(4, 64, True, "gptq"),
    "gptq-v2": gptq(4, 32, True, "gptq_v2"),
    "gptq-8": gptq(8, 64, False, "gptq"),
    "gptq-3": gptq(3, 32, False, "gptq"),
    "gptq-2": gptq(2, 32, False, "gptq"),
    "awq": awq(),
    "fp8-blocks": float8(by_blocks, "weight_scale_inv", {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}),
    "fp8-tensor": float8(by_tensor, "weight_scale_inv", {"quant_method": "fp8", "weight_block_size": None}),
    "fbgemm": float8(by_rows, "weight_scale", {"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0}),
    "compressed-float": float8(by_rows, "weight_scale", {"quant_method": "compressed-tensors", "format": "float-quantized"}),
    "compressed-packed": packed_integers(),
    "nf4": four_bits("nf4", False),
    "nf4-nested": four_bits("nf4", True),
    "fp4": four_bits("fp4", False),
    "int8": int8(),
}


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
