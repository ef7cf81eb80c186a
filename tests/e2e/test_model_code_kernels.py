# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The model code of `latent` exports with kernels: what it hands to them, with stand-ins that compute in float32 on the CPU
what the kernels say they do, and whether build_kernels.py compiles them."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from latent_export import MODEL_CODE, Plan, random_group, write_export

KERNELS = MODEL_CODE.parents[1] / "core" / "cuda"
HEAD_DIM, VOCABULARY = 64, 97


class StandIns:
    """The operators of kernels_binding.cpp; groups are described by what they were given."""

    def __init__(self):
        self.calls = {"rebuilt": 0, "packed": 0, "direct": 0}

    def describe_rebuilt(self, *given):
        assert all((up.shape[0] % 8, down.shape[1] % 8) == (0, 0) and up.is_contiguous() for up, down in zip(*given[:2]))
        return given

    def describe_direct(self, *given):
        counts = torch.tensor(given[6] + given[7]).view(-1, 5)
        return given, [int(counts.sum(1).max()), 0, 0, 1]

    @staticmethod
    def blocks_by_warpgroups(sizes, width, device):
        return 1 if sizes[0] * sizes[1] % 4 == 0 else 0

    @staticmethod
    def attend(scores, values, lifts):
        """scores [b, h, q, t] in exponents of 2, values [b, h or 1, t, r], lifts [h, width, r], in two segments."""
        split = max(1, scores.shape[-1] // 2)
        statistics = []
        for part in (scores[..., :split], scores[..., split:]):
            if part.shape[-1]:
                peak = part.amax(-1)
                statistics.append(torch.stack([peak, torch.exp2(part - peak[..., None]).sum(-1)], -1).flatten(1, 2))
        latent = torch.softmax(scores * 0.6931471805599453, -1) @ values
        return torch.einsum("bhqr,hdr->bhqd", latent, lifts).flatten(1, 2), torch.stack(statistics, 2)

    def rebuilt_attention(self, queries, keys, values, groups, frequencies, table, cosine, sine, sizes, scale):
        self.calls["rebuilt"] += 1
        share, together, count, _, _, key_reach, value_reach, table_tokens, functions, key_words, value_words, segment = sizes
        assert keys.shape[2] >= key_reach and values.shape[2] >= value_reach and keys.stride(1) % (16 if key_words else 8) == 0
        key_counts, value_counts = groups[5:]
        assert bool(key_words) == bool(value_words) == bool(key_counts)
        self.calls["packed"] += bool(key_words)

        def latent(records, g, offset, rank, counts):  # ups hold the steps
            if not counts:
                return records[..., offset : offset + rank]
            return self.in_halves(self.unpacked(records, offset, counts[5 * g : 5 * g + 5], torch.ones(rank)), counts[5 * g : 5 * g + 5], rank)
        # The table holds the rotation within its tokens, to what float16 rounds off; scores here are taken without it.
        columns = table.double().transpose(1, 2).flatten(0, 1).T  # [tokens, columns]
        assert segment % 256 == 0 and segment <= table_tokens
        within = torch.arange(table_tokens)[:, None] * frequencies.double()
        for start, coefficients, wanted in ((0, cosine, within.cos()), (1, sine, within.sin())):
            held = torch.cat([columns[:, start:32:2], columns[:, 32:] @ coefficients.double().T], 1)
            assert (held - wanted).abs().max() < 4e-3 and functions == coefficients.shape[1]
        angles = torch.arange(keys.shape[1])[:, None] * frequencies.double()
        cos, sin = angles.cos().float()[:, None], angles.sin().float()[:, None]
        outputs, statistics = [], []
        for g, (key_up, value_up, key_offset, value_offset) in enumerate(zip(*groups[:4])):
            rebuilt = (latent(keys, g, key_offset, key_up.shape[0], key_counts) @ key_up).unflatten(-1, (together, -1))
            first, second = rebuilt.chunk(2, -1)
            rotated = torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
            own = queries[:, g * together * share : (g + 1) * together * share].unflatten(1, (together, share))
            scores = torch.einsum("bhqd,bthd->bhqt", own, rotated) * (scale * 1.4426950408889634)
            summed = latent(values, g, value_offset, value_up.shape[1], value_counts).unsqueeze(1)
            output, statistic = self.attend(scores, summed, value_up.unflatten(0, (together, -1)))
            outputs.append(output)
            statistics.append(statistic)
        assert len(outputs) == count
        return torch.cat(outputs, 1), torch.cat(statistics, 1)

    @staticmethod
    def unpacked(records, offset, counts, steps):
        assert offset % 16 == 0
        parts, direction = [], 0
        for bits, count in zip((16, 8, 4, 2, 1), counts):
            words = -(-count * bits // 32)
            if count:
                shifts = torch.arange(0, 8, bits, dtype=torch.uint8)
                codes = ((records[..., offset : offset + 4 * words, None] >> shifts) & (2**bits - 1)).flatten(-2)[..., :count]
                parts.append((codes.float() - 2 ** (bits - 1) + 0.5) * steps[direction : direction + count])
            offset, direction = offset + 4 * words, direction + count
        return torch.cat(parts, -1)

    @staticmethod
    def in_halves(codes, counts, rank):
        """As kernels unpack them: first codes of a word's lower and upper half, then second ones, and so on; runs in multiples of 8."""
        parts = []
        for bits, part in zip((16, 8, 4, 2, 1), codes.split(list(counts), -1)):
            words = torch.nn.functional.pad(part, (0, -part.shape[-1] % (32 // bits))).unflatten(-1, (-1, 2, 16 // bits))
            numbers = words.transpose(-1, -2).flatten(-3)
            parts.append(torch.nn.functional.pad(numbers, (0, -numbers.shape[-1] % 8)))
        placed = torch.cat(parts, -1)
        assert placed.shape[-1] == rank
        return placed

    def direct_attention(self, queries, keys, values, groups, sizes, scale):
        self.calls["direct"] += 1
        key_ups, value_ups, key_steps, value_steps, key_offsets, value_offsets, key_counts, value_counts = groups
        assert keys.stride(1) % 16 == 0 and keys.shape[2] >= sizes[6] and sizes[8] % 128 == 0
        outputs, statistics = [], []
        for h, own in enumerate(queries.unflatten(1, (-1, sizes[0])).unbind(1)):
            latents = self.unpacked(keys, key_offsets[h], key_counts[5 * h : 5 * h + 5], key_steps[h])
            summed = self.unpacked(values, value_offsets[h], value_counts[5 * h : 5 * h + 5], value_steps[h])
            scores = torch.einsum("bqd,btd->bqt", own, latents @ key_ups[h].T) * (scale * 1.4426950408889634)
            output, statistic = self.attend(scores.unsqueeze(1), summed.unsqueeze(1), value_ups[h].unsqueeze(0))
            outputs.append(output)
            statistics.append(statistic)
        return torch.cat(outputs, 1), torch.cat(statistics, 1)


def exported(plan_of, folder, bias=False):
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=256, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=256, bos_token_id=1, eos_token_id=None, pad_token_id=0, attention_bias=bias,
    )
    stock = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in stock.named_parameters():
            parameter.mul_(6 if "k_proj" in name or "q_proj" in name else 3)
            if name.endswith("bias"):
                parameter.add_(torch.randn_like(parameter) * 0.3)
    write_export(stock, plan_of(torch.Generator().manual_seed(3)), folder)
    for file in [*KERNELS.glob("*.cu*"), *KERNELS.glob("*.h"), MODEL_CODE / "kernels_binding.cpp"]:
        shutil.copy(file, folder)
    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, torch_dtype=torch.float32).eval()


def with_stand_ins(model, monkeypatch):
    code = sys.modules[type(model).__module__]
    kernels = sys.modules[code.LatentKernels.__module__]
    monkeypatch.setattr(kernels, "DTYPES", (torch.float32,))
    monkeypatch.setattr(code.KVistaModel, "runs_kernels", staticmethod(lambda hidden: True))
    model.model.operators = StandIns()
    return model.model.operators.calls


KEYS, VALUES = [("key", 0), ("key", 1)], [("value", 0), ("value", 1)]
MIXED = [8] * 9 + [6] * 5 + [4] * 16 + [3] * 3 + [2] * 3 + [1] * 5


def joint(generator):
    return Plan([[random_group(generator, KEYS + VALUES, HEAD_DIM, [16] * 50)] for _ in range(2)])


def apart(generator):
    groups = lambda: [random_group(generator, VALUES, HEAD_DIM, [16] * 45), *(random_group(generator, [key], HEAD_DIM, [16] * 29) for key in KEYS)]
    return Plan([groups() for _ in range(2)], exact_tokens=3)


def coded(generator):
    return Plan([[random_group(generator, KEYS + VALUES, HEAD_DIM, MIXED + [16] * 3)] for _ in range(2)], exact_tokens=4)


def coded_throughout(generator):
    groups = lambda: [random_group(generator, VALUES, HEAD_DIM, MIXED), *(random_group(generator, [key], HEAD_DIM, MIXED) for key in KEYS)]
    return Plan([groups() for _ in range(2)], exact_tokens=4)


def coded_head(generator):
    groups = lambda: [random_group(generator, [key], HEAD_DIM, MIXED) for key in KEYS] + [random_group(generator, VALUES, HEAD_DIM, MIXED)]
    return Plan([groups() for _ in range(2)], exact_tokens=4, after_rope=True)


@pytest.mark.parametrize(
    "plan,kernels",
    [(joint, ["rebuilt"]), (apart, ["rebuilt"]), (coded, ["rebuilt"]), (coded_throughout, ["rebuilt", "packed"]), (coded_head, ["direct"])],
)
@torch.no_grad()
def test_decoding_with_kernels_gives_the_logits_without(plan, kernels, tmp_path, monkeypatch):
    model = exported(plan, tmp_path)
    ids = torch.randint(2, VOCABULARY, (2, 40), generator=torch.Generator().manual_seed(1))

    def logits():
        cache, steps = None, []
        for begin, end in [(0, 30), *((i, i + 1) for i in range(30, 40))]:
            output = model(ids[:, begin:end], past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            steps.append(output.logits[:, -1])
        return torch.stack(steps, 1)

    expected = logits()
    assert model.model.operators is None  # nothing is built in this folder
    calls = with_stand_ins(model, monkeypatch)
    assert (logits() - expected).abs().max() < 1e-4 * expected.abs().max()
    assert calls == {name: 2 * 10 if name in kernels else 0 for name in calls}


@torch.no_grad()
def test_padded_rows_and_biased_keys_go_without(tmp_path, monkeypatch):
    model = exported(joint, tmp_path / "plain")
    calls = with_stand_ins(model, monkeypatch)
    ids = torch.randint(2, VOCABULARY, (2, 12), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    model.generate(ids, attention_mask=mask, max_new_tokens=4, do_sample=False)
    assert not any(calls.values())
    model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False)
    assert calls["rebuilt"] == 2 * 3
    biased = exported(joint, tmp_path / "biased", bias=True)
    calls = with_stand_ins(biased, monkeypatch)
    biased.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False)
    assert not any(calls.values())


@pytest.mark.parametrize(
    "change", [{"clip": 1.5}, {"score_cap": 3.0}, {"linear_biases": {"slopes": [0.5, 0.25, 0.125, 0.0625]}}, {"interleaved": True}]
)
@torch.no_grad()
def test_scores_that_kernels_do_not_know_go_without(change, tmp_path, monkeypatch):
    plain = exported(joint, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    decoder = config["kvista"]["decoder"]
    (decoder["ropes"][0] if "interleaved" in change else decoder["blocks"][0]["attention"]).update(change)
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=True, torch_dtype=torch.float32).eval()
    ids = torch.randint(2, VOCABULARY, (2, 12), generator=torch.Generator().manual_seed(1))
    assert (model(ids).logits - plain(ids).logits).abs().max() > 1e-3, "the change changes nothing"
    calls = with_stand_ins(model, monkeypatch)
    settings = dict(attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False)
    assert torch.equal(model.generate(ids, **settings), model.generate(ids, use_cache=False, **settings))
    assert not any(calls.values())


@pytest.mark.skipif(not os.environ.get("KVISTA_LONG_TESTS"), reason="compiling takes a minute: set KVISTA_LONG_TESTS")
@pytest.mark.skipif(not (shutil.which("nvcc") or os.path.exists("/usr/local/cuda/bin/nvcc")), reason="there is no nvcc")
def test_the_kernels_compile_beside_the_checkpoint(tmp_path):
    exported(joint, tmp_path)
    subprocess.run([sys.executable, "build_kernels.py", "--arch", "9.0"], cwd=tmp_path, check=True, capture_output=True, timeout=600)
    show = "import torch; torch.ops.load_library('kvista_kernels.so'); print(torch.ops.kvista.rebuilt_attention, torch.ops.kvista.direct_attention)"
    shown = subprocess.run([sys.executable, "-c", show], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "kvista.rebuilt_attention" in shown and "kvista.direct_attention" in shown
    again = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=True, torch_dtype=torch.float32).eval()
    assert again.model.operators is not None and torch.isfinite(again(torch.tensor([[3, 4, 5]])).logits).all()
