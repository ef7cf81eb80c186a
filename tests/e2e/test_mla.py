# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The form `mla`: transformers loads it as DeepSeek-V2, computes what was planned, and caches one latent and one key a token."""

import json

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from program import USAGE, answer, complaint, run
from small_models import IDS, LAYERS, check_cache, check_evaluation, check_generation, check_reading, make, make_alike, plan, refused_model, refused_plan

pytestmark = pytest.mark.skipif("deepseek_v2" not in transformers.CONFIG_MAPPING, reason=f"transformers {transformers.__version__} has no DeepseekV2")

WIDTH = 32
SIZES = {"hidden_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": WIDTH}
# How a head rotates, which epsilon its norms have, and whether the head is tied; then how many of a key's numbers rotate.
FAMILIES = {
    "llama": ({"tie_word_embeddings": True, "rms_norm_eps": 1e-5, "rope_theta": 5e5}, 32),
    "llama-alone": ({"num_key_value_heads": 1, "rms_norm_eps": 1e-6}, 32),  # one key for all heads already
    "glm": ({"partial_rotary_factor": 0.5, "attention_bias": False}, 16),  # neighbours; half of a key rests
    "phi3": ({"partial_rotary_factor": 0.75, "sliding_window": None}, 24),  # projections in one tensor
}


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_computes_the_plan_and_caches_one_latent(family, tmp_path):
    settings, rotary = FAMILIES[family]
    original = make(family, tmp_path / "model", **{**SIZES, **settings})
    rank = 16
    file, planned = plan(tmp_path / "model", tmp_path, "--method", "mla", "--bytes-per-token", LAYERS * 2 * (WIDTH + rank))
    assert planned["bytesPerToken"] == LAYERS * 2 * (WIDTH + rank)  # a key of one head, the values' latent
    said = answer("export", file, "-o", tmp_path / "small", "--form", "mla")
    assert said["verified"] and said["bytesPerToken"] == planned["bytesPerToken"] < said["bytesPerTokenBefore"]
    model, _, cache = check_reading(tmp_path / "small", original, file, tmp_path)
    assert type(model).__name__ == "DeepseekV2ForCausalLM"
    check_cache(cache, (1, WIDTH - rotary + rank), (1, rotary), said["bytesPerToken"])
    check_generation(model)


@torch.no_grad()
def test_the_norm_of_latents_is_the_identity_for_the_largest_input(tmp_path):
    """Also where one input is far larger than what calibration saw, and read in bfloat16."""
    original = make("llama", tmp_path / "model", **SIZES, rms_norm_eps=1e-5)
    original.model.layers[0].input_layernorm.weight[3] = 60.0
    original.save_pretrained(tmp_path / "model")
    file, _ = plan(tmp_path / "model", tmp_path, "--method", "mla", "--share", 0.5)
    run("export", file, "-o", tmp_path / "small", "--form", "mla")
    for dtype, allowed in ((torch.float32, 1e-5), (torch.bfloat16, 0.02)):
        model = AutoModelForCausalLM.from_pretrained(tmp_path / "small", dtype=dtype).eval()
        for layer in model.model.layers:
            own = layer.self_attn
            inputs = layer.input_layernorm(torch.nn.functional.one_hot(torch.arange(96)).to(dtype) * 1e3)  # all in one number each
            latents = own.kv_a_proj_with_mqa(inputs)[:, : own.kv_lora_rank]
            factor = own.kv_a_layernorm.weight[0].float()
            assert (own.kv_a_layernorm(latents).float() - latents.float() * factor / 1e-6**0.5).abs().max() < allowed * (latents.float() * factor / 1e-6**0.5).abs().max()


@torch.no_grad()
def test_heads_that_turn_one_another_lose_nothing(tmp_path):
    model = make("llama", tmp_path / "model", **SIZES)
    make_alike(model, tmp_path / "model", [(0, 1)])
    file, _ = plan(tmp_path / "model", tmp_path, "--method", "mla", "--share", 0.5)
    run("export", file, "-o", tmp_path / "small", "--form", "mla")
    small = AutoModelForCausalLM.from_pretrained(tmp_path / "small", dtype=torch.float32).eval()
    torch.testing.assert_close(small(IDS).logits, model(IDS).logits, atol=2e-3, rtol=1e-3)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    make("llama", folder / "model", **SIZES)
    plan(folder / "model", folder, "--method", "mla", "--share", 0.375)
    return folder


def test_is_evaluated_and_says_what_it_loses(llama, tmp_path):
    said = check_evaluation(llama / "plan.kvista", "mla", tmp_path)
    assert any("keys of 2 heads become one" in note for note in said["notes"])
    config = json.loads((tmp_path / "small/config.json").read_text())
    assert (config["first_k_dense_replace"], config["kv_lora_rank"], config["qk_rope_head_dim"], config["v_head_dim"]) == (LAYERS, 16, WIDTH, WIDTH)


REFUSED = {
    "qwen2": ({}, "attention has biases"),
    "qwen3": ({}, "norm their queries and keys"),
    "mistral-narrow": ({"hidden_size": 90, "sliding_window": None}, "wants a hidden size that its 4 heads divide"),
    "mistral": ({"sliding_window": 9}, "have sliding windows"),
}


@pytest.mark.parametrize("family", REFUSED)
def test_families_that_cannot_are_refused_before_any_work(family, tmp_path):
    settings, reason = REFUSED[family]
    make(family, tmp_path / "model", **{**SIZES, **settings})
    assert reason in refused_model(tmp_path, "mla", "--method", "mla", "--share", 0.5)


@pytest.mark.parametrize("options, reason", [
    (["--method", "coded-head", "--times-smaller", 4], "this plan's are codes. Plan with the method mla"),
    (["--method", "separate", "--keep", 0.25], "the form mla needs the 32 of one head"),
    (["--method", "joint", "--keep", 0.5], "keys are not in one group and their values in another"),
    (["--method", "mla", "--share", 0.25], "but the method mla stores"),
])
def test_plans_that_cannot_are_refused_before_anything_is_written(llama, options, reason, tmp_path):
    assert reason in refused_plan(llama, tmp_path, "mla", *options)


def test_float16_is_refused(llama, tmp_path):
    done = run("export", llama / "plan.kvista", "-o", tmp_path / "small", "--form", "mla", "--factor-dtype", "float16", code=USAGE)
    assert "smaller than float16 holds. Write float32 or bfloat16" in complaint(done)
    assert not (tmp_path / "small").exists()
