# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The form `vOnly`: transformers loads it as an architecture of its own, computes what was planned, and caches narrower values."""

import json

import pytest
import transformers

from program import BAD_INPUT, answer, complaint, run
from small_models import LAYERS, check_cache, check_evaluation, check_generation, check_reading, make, plan, refused_model, refused_plan

pytestmark = pytest.mark.skipif("mimo_v2_flash" not in transformers.CONFIG_MAPPING, reason=f"transformers {transformers.__version__} has no MiMoV2Flash")

WIDTH, RANK = 32, 16
SIZES = {"hidden_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": WIDTH}
# Where biases are, how much of a head rotates, and whether the head is tied. With biases a value has one number more, in steps of 8.
FAMILIES = {
    "llama": ({"tie_word_embeddings": True}, RANK),
    "llama-biased": ({"attention_bias": True}, RANK + 8),  # of queries, keys, values and the output
    "qwen2": ({"rope_theta": 1e6}, RANK + 8),  # of queries, keys and values
    "phi3": ({"partial_rotary_factor": 0.75, "sliding_window": None}, RANK),  # projections in one tensor
}


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_computes_the_plan_and_caches_narrower_values(family, tmp_path):
    settings, width = FAMILIES[family]
    original = make(family, tmp_path / "model", **SIZES, **settings)
    file, planned = plan(tmp_path / "model", tmp_path, "--method", "values", "--share", 0.75)
    assert planned["bytesPerToken"] == LAYERS * 2 * (WIDTH + RANK) * 2
    said = answer("export", file, "-o", tmp_path / "small", "--form", "vOnly")
    assert said["verified"] and said["bytesPerToken"] == LAYERS * 2 * (WIDTH + width) * 2 < said["bytesPerTokenBefore"]
    model, _, cache = check_reading(tmp_path / "small", original, file, tmp_path)
    assert type(model).__name__ == "MiMoV2FlashForCausalLM"
    check_cache(cache, (2, WIDTH), (2, width), said["bytesPerToken"])
    check_generation(model)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("qwen")
    make("qwen2", folder / "model", **SIZES)
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
    check_evaluation(qwen / "plan.kvista", "vOnly", tmp_path)


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
    make(family, tmp_path / "model", **{**SIZES, **settings})
    assert reason in refused_model(tmp_path, "vOnly", "--method", "values", "--share", 0.75)


@pytest.mark.parametrize("options, reason", [
    (["--method", "coded-head", "--times-smaller", 4], "this plan's are codes. Plan with the method values"),
    (["--method", "separate", "--keep", 0.5], "keeps keys as they are; group 0 of layer 0 compresses some"),
    (["--method", "values", "--share", 0.95], "so that nothing would be saved: it has the plan's largest rank and one number for biases, in steps of 8. "
     "Plan with the method values and --max-rank 23"),
])
def test_plans_that_cannot_are_refused_before_anything_is_written(qwen, options, reason, tmp_path):
    assert reason in refused_plan(qwen, tmp_path, "vOnly", *options)


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
