# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The form `vOnly`: transformers loads it as an architecture of its own, computes what was planned, and caches narrower values."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from program import BAD_INPUT, TEXTS, USAGE, answer, complaint, run
from test_families import byte_tokenizer

pytestmark = pytest.mark.skipif("mimo_v2_flash" not in transformers.CONFIG_MAPPING, reason=f"transformers {transformers.__version__} has no MiMoV2Flash")

LAYERS, WIDTH, RANK = 2, 32, 16
SIZES = {
    "vocab_size": 256, "hidden_size": 96, "intermediate_size": 40, "num_hidden_layers": LAYERS, "max_position_embeddings": 64, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": WIDTH, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}
# Where biases are, how much of a head rotates, and whether the head is tied. With biases a value has one number more, in steps of 8.
FAMILIES = {
    "llama": ({"tie_word_embeddings": True}, RANK),
    "llama-biased": ({"attention_bias": True}, RANK + 8),  # of queries, keys, values and the output
    "qwen2": ({"rope_theta": 1e6}, RANK + 8),  # of queries, keys and values
    "phi3": ({"partial_rotary_factor": 0.75, "sliding_window": None}, RANK),  # projections in one tensor
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
def test_transformers_computes_the_plan_and_caches_narrower_values(family, tmp_path):
    settings, width = FAMILIES[family]
    original = make(family, tmp_path / "model", **settings)
    file, planned = plan(tmp_path / "model", tmp_path, "--method", "values", "--share", 0.75)
    assert planned["bytesPerToken"] == LAYERS * 2 * (WIDTH + RANK) * 2
    said = answer("export", file, "-o", tmp_path / "small", "--form", "vOnly")
    assert said["verified"] and said["bytesPerToken"] == LAYERS * 2 * (WIDTH + width) * 2 < said["bytesPerTokenBefore"]
    model, loading = AutoModelForCausalLM.from_pretrained(tmp_path / "small", dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert type(model).__name__ == "MiMoV2FlashForCausalLM" and not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ids = torch.randint(3, 256, (2, 24), generator=torch.Generator().manual_seed(1))
    save_file({"input_ids": ids}, tmp_path / "ids.safetensors")
    run("forward", file, "--input", tmp_path / "ids.safetensors", "-o", tmp_path / "own.safetensors")
    expected = load_file(tmp_path / "own.safetensors")["logits"]
    found = model(ids)
    torch.testing.assert_close(found.logits, expected, atol=1e-3, rtol=1e-4)
    assert (original(ids).logits - expected).abs().max() > 0.05, "the plan changes nothing"

    layers = found.past_key_values.layers
    assert [(tuple(layer.keys.shape), tuple(layer.values.shape)) for layer in layers] == [((2, 2, 24, WIDTH), (2, 2, 24, width))] * LAYERS
    assert sum(tensor.nbytes for layer in layers for tensor in (layer.keys, layer.values)) == 2 * 24 * said["bytesPerToken"] * 2  # float32
    settings = dict(max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=0)
    assert torch.equal(model.generate(ids, **settings), model.generate(ids, use_cache=False, **settings))


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("qwen")
    make("qwen2", folder / "model")
    plan(folder / "model", folder, "--method", "values", "--share", 0.75)
    return folder


def test_what_engines_read_is_in_its_configuration(qwen, tmp_path):
    said = answer("export", qwen / "plan.kvista", "-o", tmp_path / "small", "--form", "vOnly")
    config = json.loads((tmp_path / "small/config.json").read_text())
    # As the architecture's authors write it: neither sliding nor sparse layers.
    assert config["hybrid_layer_pattern"] == config["moe_layer_freq"] == [0] * LAYERS
    assert (config["head_dim"], config["v_head_dim"], config["attention_value_scale"], config["partial_rotary_factor"]) == (WIDTH, RANK + 8, 1, 1)
    assert any("a multiple of 8, with one number for biases: all have 24" in note for note in said["notes"])


def test_is_evaluated_and_verified_like_any_other(qwen, tmp_path):
    run("export", qwen / "plan.kvista", "-o", tmp_path / "small", "--form", "vOnly")
    text = ["--text", TEXTS / "evaluation.txt", "--window", 32, "--windows", 4]
    assert answer("evaluate", tmp_path / "small", *text)["perplexity"] == pytest.approx(answer("evaluate", qwen / "plan.kvista", *text)["perplexity"], rel=1e-4)
    assert answer("verify", tmp_path / "small")["verified"]


REFUSED = {
    "qwen3": ({}, "norm their queries and keys"),
    "mistral": ({"sliding_window": 9}, "have sliding windows"),
    "granite": ({"attention_multiplier": 0.125}, "scale their scores by another factor"),
    "glm": ({"attention_bias": True}, "rotate neighbouring numbers"),
    "llama": ({"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}}, "stretch their rotary embedding"),
    "gemma": ({}, "have norms of another kind"),
}


@pytest.mark.parametrize("family", REFUSED)
def test_families_that_cannot_are_refused_before_any_work(family, tmp_path):
    settings, reason = REFUSED[family]
    make(family, tmp_path / "model", **settings)
    done = run("compress", tmp_path / "model", "--text", TEXTS / "calibration.txt", "--window", 32, "--windows", 8, "--method", "values", "--share", 0.75,
               "--form", "vOnly", "-o", tmp_path / "small", code=USAGE)
    assert reason in complaint(done) and "Export the form latent" in complaint(done)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@pytest.mark.parametrize("options, reason", [
    (["--method", "coded-head", "--times-smaller", 4], "this plan's are codes. Plan with the method values"),
    (["--method", "separate", "--keep", 0.5], "keeps keys as they are; group 0 of layer 0 compresses some"),
    (["--method", "values", "--share", 0.95], "so that nothing would be saved: it has the plan's largest rank and one number for biases, in steps of 8. "
     "Plan with the method values and --max-rank 23"),
])
def test_plans_that_cannot_are_refused_before_anything_is_written(qwen, options, reason, tmp_path):
    run("plan", qwen / "model", "--stats", qwen / "statistics", *options, "-o", tmp_path / "plan.kvista")
    done = run("export", tmp_path / "plan.kvista", "-o", tmp_path / "small", "--form", "vOnly", code=USAGE)
    assert reason in complaint(done)
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize("change, reason", [
    (lambda config: config.update(attention_value_scale=0.707), "attention_value_scale is 0.707; supported: 1"),
    (lambda config: config.update(layer_types=["full_attention", "sliding_attention"]), "layer_types: only full_attention layers are supported"),
    (lambda config: (config.pop("mlp_layer_types"), config.update(moe_layer_freq=[0, 1])), "moe_layer_freq: only dense layers are supported"),
    (lambda config: config.update(v_head_dim=16), "v_proj.weight"),
])
def test_models_of_that_architecture_that_are_not_supported_are_named(qwen, change, reason, tmp_path):
    run("export", qwen / "plan.kvista", "-o", tmp_path / "small", "--form", "vOnly")
    config = json.loads((tmp_path / "small/config.json").read_text())
    change(config)
    (tmp_path / "small/config.json").write_text(json.dumps(config))
    assert reason in complaint(run("inspect", tmp_path / "small", code=BAD_INPUT))
