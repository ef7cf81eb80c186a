# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Test helper: weights as the tools of quantisation store them, the numbers that their codes stand for, and what the tools' own libraries
make of the codes."""

import json

import pytest
import torch
from transformers.integrations.finegrained_fp8 import Fp8Dequantize

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


def written_by_bitsandbytes(kind, nested):
    def quantise(name, weight):
        functional = library("bitsandbytes").functional
        codes, state = functional.quantize_4bit(weight, blocksize=64, compress_statistics=nested, quant_type=kind)
        parts = {f"{name}.weight.{part}": tensor for part, tensor in state.as_dict(packed=True).items()}
        return {f"{name}.weight": codes, **parts}, functional.dequantize_4bit(codes, state)

    return quantise, {"quant_method": "bitsandbytes", "load_in_4bit": True}


def int8_by_bitsandbytes():
    def quantise(name, weight):
        functional = library("bitsandbytes").functional
        codes, largest, _ = functional.int8_vectorwise_quant(weight.half())
        return {f"{name}.weight": codes, f"{name}.SCB": largest}, functional.int8_vectorwise_dequant(codes, largest)

    return quantise, {"quant_method": "bitsandbytes", "load_in_8bit": True}


FORMS |= {
    "nf4-by-bitsandbytes": written_by_bitsandbytes("nf4", False),
    "nf4-nested-by-bitsandbytes": written_by_bitsandbytes("nf4", True),
    "fp4-nested-by-bitsandbytes": written_by_bitsandbytes("fp4", True),
    "int8-by-bitsandbytes": int8_by_bitsandbytes(),
}


def library(name):
    """The quantiser's own library, which does not belong to what the tests need."""
    return pytest.importorskip(name, reason=f"the Python of the tests has no {name}")


def gptqmodel_reads(parts, settings):
    library("gptqmodel")
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module

    (words, rows), bits, group = parts["w.qweight"].shape, settings["bits"], settings["group_size"]
    inputs = words * 32 // bits
    layer = TorchLinear(bits=bits, group_size=group, sym=False, desc_act=settings["desc_act"], in_features=inputs, out_features=rows)
    layer.qweight, layer.qzeros, layer.scales = (parts[f"w.{part}"].contiguous() for part in ("qweight", "qzeros", "scales"))
    layer.g_idx = parts.get("w.g_idx", torch.arange(inputs, dtype=torch.int32) // group)
    if settings["checkpoint_format"] == "gptq":
        convert_gptq_v1_to_v2_format_module(layer, bits, torch.int32)
    layer.post_init()
    return layer.dequantize_weight().t()


def gptqmodel_reads_awq(parts, settings):
    library("gptqmodel")
    from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm

    return dequantize_gemm(*(parts[f"w.{part}"] for part in ("qweight", "qzeros", "scales")), settings["bits"], settings["group_size"]).t()


def bitsandbytes_reads(parts, settings):
    functional = library("bitsandbytes").functional
    if "w.SCB" in parts:
        return functional.int8_vectorwise_dequant(parts["w.weight"], parts["w.SCB"])
    state = {name.removeprefix("w.weight."): part for name, part in parts.items() if name != "w.weight"}
    return functional.dequantize_4bit(parts["w.weight"], functional.QuantState.from_dict(state, torch.device("cpu")))


def compressed_tensors_reads(parts, settings):
    library("compressed_tensors")
    from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
    from compressed_tensors.quantization import QuantizationArgs
    from compressed_tensors.quantization.lifecycle.forward import dequantize

    codes = unpack_from_int32(parts["w.weight_packed"], 4, parts["w.weight_shape"].tolist())
    return dequantize(codes, parts["w.weight_scale"], args=QuantizationArgs(**settings["config_groups"]["group_0"]["weights"]))


def transformers_reads(parts, settings):
    return Fp8Dequantize(None)._dequantize_one(parts["w.weight"], parts["w.weight_scale_inv"])


READERS = {
    **{form: gptqmodel_reads for form in FORMS if form.startswith("gptq")},
    "awq": gptqmodel_reads_awq,
    "fp8-blocks": transformers_reads,
    "fp8-tensor": transformers_reads,
    **{form: bitsandbytes_reads for form in ("nf4", "nf4-nested", "fp4", "int8")},
    "compressed-packed": compressed_tensors_reads,
}
