# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The form `gqa`: stock checkpoints with fewer key-value heads, which transformers loads, computes what was planned with, and
generates with from a smaller cache."""

import json
import subprocess

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from program import answer, run
from small_models import IDS, check_generation, check_reading, make, make_alike, plan, refused_model, refused_plan
from test_families import own_logits
from test_gguf import PYTHON, SCRIPT, needs_llama

pytestmark = pytest.mark.skipif(int(transformers.__version__.split(".")[0]) < 5, reason="older versions know other keys of a configuration")

WIDTH = 16
HEADS = {"num_attention_heads": 8, "num_key_value_heads": 4}
FAMILIES = {
    "llama": {}, "mistral": {"sliding_window": 9}, "mixtral": {"num_local_experts": 3}, "granite": {"attention_multiplier": 0.2},
    "smollm3": {"no_rope_layers": [1, 0]}, "stablelm": {"partial_rotary_factor": 0.5}, "glm": {"head_dim": WIDTH, "attention_bias": False, "partial_rotary_factor": 0.5},
    "cohere": {}, "olmo": {}, "gemma": {"head_dim": WIDTH}, "gemma2": {"head_dim": WIDTH, "query_pre_attn_scalar": 16}, "starcoder2": {"use_bias": False},
    "internlm3": {"head_dim": WIDTH},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_stock_code_computes_the_plan_with_fewer_heads(family, tmp_path):
    original = make(family, tmp_path / "model", **HEADS, **FAMILIES[family])
    file, planned = plan(tmp_path / "model", tmp_path, "--method", "gqa", "--times-smaller", 2)
    said = answer("export", file, "-o", tmp_path / "small", "--form", "gqa")
    assert said["verified"] and said["bytesPerToken"] == planned["bytesPerToken"] == said["bytesPerTokenBefore"] // 2
    model, _, cache = check_reading(tmp_path / "small", original, file, tmp_path)
    assert type(model) is type(original) and model.config.num_key_value_heads == 2
    assert cache.layers[0].keys.shape[1] == cache.layers[0].values.shape[1] == 2  # windows keep fewer tokens
    check_generation(model)


@torch.no_grad()
def test_heads_that_turn_one_another_merge_without_loss(tmp_path):
    model = make("llama", tmp_path / "model", **HEADS)
    make_alike(model, tmp_path / "model", [(0, 2), (1, 3)])  # not neighbours: heads are grouped by what they hold
    file, _ = plan(tmp_path / "model", tmp_path, "--method", "gqa", "--group-size", 2, "--times-smaller", 2)
    run("export", file, "-o", tmp_path / "small", "--form", "gqa")
    small = AutoModelForCausalLM.from_pretrained(tmp_path / "small", dtype=torch.float32).eval()
    torch.testing.assert_close(small(IDS).logits, model(IDS).logits, atol=2e-3, rtol=1e-3)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    make("llama", folder / "model", **HEADS)
    plan(folder / "model", folder, "--method", "gqa", "--times-smaller", 2)
    return folder


REFUSED = {
    "qwen2": ({}, "each key-value head has a bias of its own"),
    "qwen3": ({"head_dim": WIDTH}, "a norm stands between projections and keys"),
    "phi3": ({}, "several projections in one tensor"),
}


@pytest.mark.parametrize("family", REFUSED)
def test_families_that_cannot_are_refused_before_any_work(family, tmp_path):
    changes, reason = REFUSED[family]
    make(family, tmp_path / "model", **HEADS, **changes)
    assert reason in refused_model(tmp_path, "gqa", "--method", "gqa", "--times-smaller", 2)


@pytest.mark.parametrize("options, reason", [
    (["--method", "separate"], "a plan of the method separate has none. Plan with `--method gqa`"),
    (["--method", "gqa", "--group-size", 3], "4 key-value heads cannot become one for every"),
    (["--method", "gqa", "--group-size", 8], "4 key-value heads cannot become one for every"),
])
def test_plans_that_cannot_are_refused_before_anything_is_written(llama, options, reason, tmp_path):
    assert reason in refused_plan(llama, tmp_path, "gqa", *options, "--times-smaller", 2)


@needs_llama
@torch.no_grad()
def test_llama_cpp_runs_it_from_one_file(llama, tmp_path):
    assert answer("export", llama / "plan.kvista", "-o", tmp_path / "small", "--form", "gqa", "--container", "gguf")["verified"]
    asked = {"gqa": {"file": str(tmp_path / "small/model.gguf"), "rows": IDS.tolist(), "texts": []}}
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    subprocess.run([PYTHON, "-c", SCRIPT, tmp_path / "asked.json", tmp_path / "answer.json"], check=True)
    found = json.loads((tmp_path / "answer.json").read_text())["gqa"]
    torch.testing.assert_close(torch.tensor(found["logits"]), own_logits(llama / "plan.kvista", IDS, tmp_path), atol=1e-3, rtol=1e-4)
