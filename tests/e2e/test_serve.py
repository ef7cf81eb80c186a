# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The form `serve`: transformers loads it and computes what was planned, caches as many numbers as were planned, and hands its
attention to functions that engines bring along."""

import json

import pytest
import torch
import transformers
from torch.nn import functional
from transformers import AutoModel, DynamicCache

from program import BAD_INPUT, TEXTS, answer, complaint, run
from small_models import IDS, LAYERS, check_cache, check_evaluation, check_generation, check_reading, make, plan, refused_model, refused_plan

WIDTH, RANK = 32, 16
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
# What stands between projections and scores, and what becomes of biases.
FAMILIES = {
    "llama": {"attention_bias": True},  # biases of values and of the output
    "qwen2": {},  # of values, none of the output
    "qwen3": {"head_dim": WIDTH},  # norms of heads
    "mistral": {"sliding_window": 9},
    "glm": {"head_dim": WIDTH, "attention_bias": True, "partial_rotary_factor": 0.5},  # turns neighbours
    "cohere": {"logit_scale": 0.25},  # both halves in parallel
    "olmo2": {},  # norms over all heads, behind attention
    "phi3": {"sliding_window": None},  # projections in one tensor
    "mixtral": {"num_local_experts": 3, "num_experts_per_tok": 2, "sliding_window": None},
    "qwen3_moe": {"head_dim": WIDTH, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "norm_topk_prob": False},
    "gpt2": {"num_key_value_heads": 4, "n_inner": 40},  # learned positions, nothing rotates
}


COMPILED = ("gpt2", "llama", "qwen3_moe")  # learned positions, rotation, experts


@pytest.fixture
def engine():
    """Attention as an engine does it: it knows its own layers, whose cache is its own, and gets all tokens in one row. Nothing before
    transformers 4.48, which has no interface for it."""
    functions = getattr(transformers.modeling_utils, "ALL_ATTENTION_FUNCTIONS", None)
    if functions is None:
        yield None
        return
    asked = []

    def attention(module, query, key, value, attention_mask, scaling=None, attention_instances=None, **kwargs):
        assert attention_mask is None and attention_instances[module.layer_idx] == f"layer {module.layer_idx}"
        asked.append((module.layer_idx, tuple(key.shape), tuple(value.shape), scaling))
        key, value = (part.repeat_interleave(query.shape[1] // key.shape[1], 1) for part in (key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling)
        return mixed.transpose(1, 2).flatten(2).squeeze(0), None  # [tokens, heads * rank]

    functions["an-engine"] = attention
    yield asked
    del functions["an-engine"]


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_transformers_computes_the_plan_in_a_stock_cache(family, tmp_path, engine):
    original = make(family, tmp_path / "model", **{**HEADS, **FAMILIES[family]})
    file, planned = plan(tmp_path / "model", tmp_path, "--method", "kqsvd", "--times-smaller", 2)
    said = answer("export", file, "-o", tmp_path / "small", "--form", "serve")
    assert said["verified"] and said["bytesPerToken"] == planned["bytesPerToken"] == said["bytesPerTokenBefore"] // 2
    model, expected, cache = check_reading(tmp_path / "small", original, file, tmp_path, "sdpa")
    assert (model.config.head_dim, model.config.rope_head_dim) == (RANK, WIDTH)
    assert type(cache) is DynamicCache
    heads = model.config.num_key_value_heads
    check_cache(cache, (heads, RANK), (heads, RANK), said["bytesPerToken"])
    check_generation(model)

    if engine is None or family == "mistral":  # the stand-in has no windows
        return
    inner = AutoModel.from_pretrained(tmp_path / "small", trust_remote_code=True, torch_dtype=torch.float32).eval()
    assert inner.is_backend_compatible()
    inner.config._attn_implementation = "an-engine"
    instances = {layer: f"layer {layer}" for layer in range(LAYERS)}
    asked = dict(input_ids=IDS[:1], position_ids=torch.arange(24)[None], use_cache=False, attention_instances=instances, return_dict=False)
    hidden = inner(**asked)[0]
    logits = model.lm_head(hidden)[0] * model.multiplier
    torch.testing.assert_close(logits, expected[0], atol=1e-3, rtol=1e-4)
    assert [(layer, key[-1], value[-1]) for layer, key, value, _ in engine] == [(layer, RANK, RANK) for layer in range(LAYERS)]
    if family in COMPILED:  # as one graph, which engines capture
        torch.testing.assert_close(torch.compile(inner, backend="eager", fullgraph=True)(**asked)[0], hidden)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    make("llama", folder / "model", **HEADS)
    plan(folder / "model", folder, "--method", "kqsvd", "--times-smaller", 2)
    return folder


def test_is_evaluated_and_verified_like_any_other(llama, tmp_path):
    check_evaluation(llama / "plan.kvista", "serve", tmp_path)


def test_ranks_that_differ_are_padded_and_the_report_says_so(llama, tmp_path):
    run("plan", llama / "model", "--stats", llama / "statistics", "--method", "kqsvd", "--keep", 0.25, "--rank-step", 1, "--allocator", "waterline", "--max-rank", 16,
        "-o", tmp_path / "plan.kvista")
    said = answer("export", tmp_path / "plan.kvista", "-o", tmp_path / "small", "--form", "serve")
    assert said["bytesPerToken"] == said["bytesPerTokenBefore"] // 2
    assert any("one rank for all heads, a multiple of 16: all have 16" in note for note in said["notes"])


REFUSED = {
    "gemma2": ({"head_dim": WIDTH, "query_pre_attn_scalar": 32}, "scores are capped"),
    "bloom": ({"n_head": 4}, "linear biases are added to their scores"),
    "llama": ({"hidden_size": 64}, "heads have 16 numbers"),
}


@pytest.mark.parametrize("family", REFUSED)
def test_families_that_cannot_are_refused_before_any_work(family, tmp_path):
    changes, reason = REFUSED[family]
    make(family, tmp_path / "model", **{**HEADS, **changes})
    assert reason in refused_model(tmp_path, "serve", "--method", "kqsvd", "--times-smaller", 2)


@pytest.mark.parametrize("options, reason", [
    (["--method", "coded-head", "--times-smaller", 4], "this plan's are codes. Export the form latent, or plan with the method kqsvd"),
    (["--method", "separate", "--keep", 0.5], "compressed after RoPE"),
    (["--method", "kqsvd", "--grouping", "separate", "--keep", 0.5], "a latent of its own"),
    (["--method", "kqsvd", "--keep", 0.9], "so that nothing would be saved. Export the form latent, or plan with --allocator uniform and --max-rank 16"),
])
def test_plans_that_cannot_are_refused_before_anything_is_written(llama, options, reason, tmp_path):
    assert reason in refused_plan(llama, tmp_path, "serve", *options)


@pytest.mark.parametrize("change, reason", [
    (lambda config: config.update(head_dim=32), "head_dim in config.json is not a number from 1 to 31"),
    (lambda config: config.update(head_dim=15), "key_basis has shape [2, 32, 16], not [2, 32, 15]"),
    (lambda config: config.update(kvista=3), "no kvista.base_config"),
])
def test_damaged_files_are_named(llama, change, reason, tmp_path):
    run("export", llama / "plan.kvista", "-o", tmp_path / "small", "--form", "serve")
    config = json.loads((tmp_path / "small/config.json").read_text())
    change(config)
    (tmp_path / "small/config.json").write_text(json.dumps(config))
    assert reason in complaint(run("evaluate", tmp_path / "small", "--text", TEXTS / "evaluation.txt", "--window", 32, "--windows", 1, code=BAD_INPUT))
