# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The form `mla`: transformers loads it as DeepSeek-V2, computes what was planned, and caches one latent and one key a token."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from program import TEXTS, USAGE, answer, complaint, run
from test_families import byte_tokenizer

pytestmark = pytest.mark.skipif("deepseek_v2" not in transformers.CONFIG_MAPPING, reason=f"transformers {transformers.__version__} has no DeepseekV2")

LAYERS, WIDTH = 2, 32
SIZES = {
    "vocab_size": 256, "hidden_size": 96, "intermediate_size": 40, "num_hidden_layers": LAYERS, "max_position_embeddings": 64, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": WIDTH, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}
# How a head rotates, which epsilon its norms have, and whether the head is tied; then how many of a key's numbers rotate.
FAMILIES = {
    "llama": ({"tie_word_embeddings": True, "rms_norm_eps": 1e-5, "rope_theta": 5e5}, 32),
    "llama-alone": ({"num_key_value_heads": 1, "rms_norm_eps": 1e-6}, 32),  # one key for all heads already
    "glm": ({"partial_rotary_factor": 0.5, "attention_bias": False}, 16),  # neighbours; half of a key rests
    "phi3": ({"partial_rotary_factor": 0.75, "sliding_window": None}, 24),  # projections in one tensor
}


@torch.no_grad()
def make(family, folder, **settings):
    torch.manual_seed(5)
    config = transformers.AutoConfig.for_model(family.partition("-")[0], **{**SIZES, **settings})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    for name, parameter in model.named_parameters():
        spread = 0.1 if parameter.dim() == 1 else 1.5 / parameter.shape[-1] ** 0.5
        parameter.copy_((1.0 if parameter.dim() == 1 and not name.endswith("bias") else 0.0) + spread * torch.randn(parameter.shape))
    model.save_pretrained(folder)
    byte_tokenizer().save(str(folder / "tokenizer.json"))
    return model


def plan(model, folder, *options):
    run("calibrate", model, "--text", TEXTS / "calibration.txt", "--window", 32, "--tokens", 1024, "--no-response", "-o", folder / "statistics")
    return folder / "plan.kvista", answer("plan", model, "--stats", folder / "statistics", *options, "-o", folder / "plan.kvista")


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_transformers_computes_the_plan_and_caches_one_latent(family, tmp_path):
    settings, rotary = FAMILIES[family]
    original = make(family, tmp_path / "model", **settings)
    rank = 16
    file, planned = plan(tmp_path / "model", tmp_path, "--method", "mla", "--bytes-per-token", LAYERS * 2 * (WIDTH + rank))
    assert planned["bytesPerToken"] == LAYERS * 2 * (WIDTH + rank)  # a key of one head, the values' latent
    said = answer("export", file, "-o", tmp_path / "small", "--form", "mla")
    assert said["verified"] and said["bytesPerToken"] == planned["bytesPerToken"] < said["bytesPerTokenBefore"]
    model, loading = AutoModelForCausalLM.from_pretrained(tmp_path / "small", dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert type(model).__name__ == "DeepseekV2ForCausalLM" and not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ids = torch.randint(3, 256, (2, 24), generator=torch.Generator().manual_seed(1))
    save_file({"input_ids": ids}, tmp_path / "ids.safetensors")
    run("forward", file, "--input", tmp_path / "ids.safetensors", "-o", tmp_path / "own.safetensors")
    expected = load_file(tmp_path / "own.safetensors")["logits"]
    found = model(ids)
    torch.testing.assert_close(found.logits, expected, atol=1e-3, rtol=1e-4)
    assert (original(ids).logits - expected).abs().max() > 0.05, "the plan changes nothing"

    layers = found.past_key_values.layers
    assert [(tuple(layer.keys.shape), tuple(layer.values.shape)) for layer in layers] == [((2, 1, 24, WIDTH - rotary + rank), (2, 1, 24, rotary))] * LAYERS
    assert sum(tensor.nbytes for layer in layers for tensor in (layer.keys, layer.values)) == 2 * 24 * said["bytesPerToken"] * 2  # float32
    settings = dict(max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=0)
    assert torch.equal(model.generate(ids, **settings), model.generate(ids, use_cache=False, **settings))


@torch.no_grad()
def test_the_norm_of_latents_is_the_identity_for_the_largest_input(tmp_path):
    """Also where one input is far larger than what calibration saw, and read in bfloat16."""
    original = make("llama", tmp_path / "model", rms_norm_eps=1e-5)
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
    model = make("llama", tmp_path / "model")
    generator = torch.Generator().manual_seed(2)
    for layer in model.model.layers:
        keys, values = (linear.weight.view(2, WIDTH, -1) for linear in (layer.self_attn.k_proj, layer.self_attn.v_proj))
        turned = torch.complex(*keys[0].view(2, WIDTH // 2, -1)) * torch.randn(WIDTH // 2, 1, dtype=torch.complex64, generator=generator)
        keys[1] = torch.cat([turned.real, turned.imag])
        values[1] = torch.randn(WIDTH, WIDTH, generator=generator) / 4 @ values[0]
    model.save_pretrained(tmp_path / "model")
    file, _ = plan(tmp_path / "model", tmp_path, "--method", "mla", "--share", 0.5)
    run("export", file, "-o", tmp_path / "small", "--form", "mla")
    small = AutoModelForCausalLM.from_pretrained(tmp_path / "small", dtype=torch.float32).eval()
    ids = torch.randint(3, 256, (2, 24), generator=generator)
    torch.testing.assert_close(small(ids).logits, model(ids).logits, atol=2e-3, rtol=1e-3)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    make("llama", folder / "model")
    plan(folder / "model", folder, "--method", "mla", "--share", 0.375)
    return folder


def test_is_evaluated_and_says_what_it_loses(llama, tmp_path):
    said = answer("export", llama / "plan.kvista", "-o", tmp_path / "small", "--form", "mla")
    assert any("keys of 2 heads become one" in note for note in said["notes"])
    text = ["--text", TEXTS / "evaluation.txt", "--window", 32, "--windows", 4]
    assert answer("evaluate", tmp_path / "small", *text)["perplexity"] == pytest.approx(answer("evaluate", llama / "plan.kvista", *text)["perplexity"], rel=1e-4)
    assert answer("verify", tmp_path / "small")["verified"]
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
    make(family, tmp_path / "model", **settings)
    done = run("compress", tmp_path / "model", "--text", TEXTS / "calibration.txt", "--window", 32, "--windows", 8, "--method", "mla", "--share", 0.5,
               "--form", "mla", "-o", tmp_path / "small", code=USAGE)
    assert reason in complaint(done) and "Export the form latent" in complaint(done)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@pytest.mark.parametrize("options, reason", [
    (["--method", "coded-head", "--times-smaller", 4], "this plan's are codes. Plan with the method mla"),
    (["--method", "separate", "--keep", 0.25], "the form mla needs the 32 of one head"),
    (["--method", "joint", "--keep", 0.5], "keys are not in one group and their values in another"),
    (["--method", "mla", "--share", 0.25], "but the method mla stores"),
])
def test_plans_that_cannot_are_refused_before_anything_is_written(llama, options, reason, tmp_path):
    done = run("plan", llama / "model", "--stats", llama / "statistics", *options, "-o", tmp_path / "plan.kvista", code=(0, USAGE))
    if done.returncode == 0:
        done = run("export", tmp_path / "plan.kvista", "-o", tmp_path / "small", "--form", "mla", code=USAGE)
    assert reason in complaint(done)
    assert not (tmp_path / "small").exists()


def test_float16_is_refused(llama, tmp_path):
    done = run("export", llama / "plan.kvista", "-o", tmp_path / "small", "--form", "mla", "--factor-dtype", "float16", code=USAGE)
    assert "smaller than float16 holds. Write float32 or bfloat16" in complaint(done)
    assert not (tmp_path / "small").exists()
