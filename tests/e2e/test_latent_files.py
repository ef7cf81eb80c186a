# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that `kvista export` wrote, in transformers: their logits, what they generate, and what their cache takes."""

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer

from program import MODEL, TEXTS, answer

METHODS = {
    "coded": ["--times-smaller", "6"],
    "coded-joint": ["--times-smaller", "8"],
    "coded-head": ["--times-smaller", "4"],
    "joint": ["--keep", "0.5"],
    "separate": ["--keep", "0.6"],
}
OPTIONS = {**METHODS, "coded-chain": ["--times-smaller", "8"], "kvsharer": ["--share", "0.75"]}
TEXT = TEXTS / "calibration.txt"
FAMILIES = ["qwen2", "qwen3", "mistral"]


def make_model(family, folder):
    """A random model of another family with a small byte-level tokenizer of its own."""
    torch.manual_seed(2)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train([str(TEXT)], trainer)
    sizes = dict(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=64, intermediate_size=80, num_hidden_layers=2, head_dim=16,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, bos_token_id=None, eos_token_id=None,
    )
    settings = {"mistral": {"sliding_window": 24}, "qwen3": {"attention_bias": True}}.get(family, {})
    config = transformers.AutoConfig.for_model(family, **sizes, **settings)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(torch.randn_like(parameter) * (1.0 if name.endswith("bias") else 0.2))
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))


class Subject:
    """A model with its statistics; plans and exports are made when they are first asked for."""

    def __init__(self, model, folder, statistics=None):
        self.model, self.folder, self.reports = model, folder, {}
        self.statistics = statistics or folder / "statistics"
        if not statistics:
            answer("calibrate", model, "--text", TEXT, "--window", 64, "--tokens", 1024, "--no-response", "-o", self.statistics)

    def export(self, method):
        target, project = self.folder / method, self.folder / f"{method}.kvista"
        if method not in self.reports:
            answer("plan", self.model, "--stats", self.statistics, "--method", method, *OPTIONS[method], "-o", project)
            self.reports[method] = answer("export", project, "-o", target, "--form", "latent")
            assert self.reports[method]["verified"]
        return project, target, self.reports[method]


@pytest.fixture(scope="module")
def subjects(tmp_path_factory, statistics):
    made = {}

    def get(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            if name == "demo":
                made[name] = Subject(MODEL, folder, statistics)
            else:
                make_model(name, folder / "model")
                made[name] = Subject(folder / "model", folder)
        return made[name]

    return get


def load(folder, dtype=torch.float32):
    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, torch_dtype=dtype).eval()


CASES = [("demo", method) for method in METHODS] + [(family, method) for family in FAMILIES for method in ("coded", "joint")]
CASES += [("qwen2", "coded-chain"), ("demo", "kvsharer")]


def assert_same_logits(found, expected, coded):
    difference = (found - expected).abs().amax(-1)  # [batch, tokens]
    if not coded:
        assert difference.max() < 1e-3
        return
    # A number that lies on the edge of a code falls to its other side when sums are taken in another order. Until that
    # happens a sequence agrees, afterwards it differs by what one step of one direction does.
    assert difference[:, :5].max() < 1e-3
    assert (difference < 1e-3).float().mean() > 0.2
    assert (found - expected).square().mean().sqrt() < 0.05 * expected.std()


@pytest.mark.parametrize("name,method", CASES)
@torch.no_grad()
def test_logits_are_those_of_the_plan(subjects, name, method, tmp_path):
    project, folder, _ = subjects(name).export(method)
    model = load(folder)
    ids = torch.randint(0, model.config.vocab_size, (2, 40), generator=torch.Generator().manual_seed(1))
    found = model(ids, use_cache=False).logits
    save_file({"input_ids": ids}, tmp_path / "input.safetensors")
    for subject in (project, folder):
        answer("forward", subject, "--input", tmp_path / "input.safetensors", "-o", tmp_path / "output.safetensors")
        expected = load_file(tmp_path / "output.safetensors")["logits"]
        assert_same_logits(found, expected, coded=method.startswith("coded"))


@pytest.mark.parametrize("method", METHODS)
def test_generation_uses_a_cache_of_the_planned_size(subjects, method):
    _, folder, report = subjects("demo").export(method)
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer("It was a fine morning, and the whole village", return_tensors="pt", add_special_tokens=False)
    inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    settings = dict(max_new_tokens=20, min_new_tokens=20, do_sample=False, pad_token_id=0)
    cached = model.generate(**inputs, **settings)
    assert torch.equal(cached, model.generate(**inputs, use_cache=False, **settings))
    output = load(folder, torch.bfloat16).generate(**inputs, return_dict_in_generate=True, **settings)
    assert output.past_key_values.bytes_per_token() == report["bytesPerToken"]


@torch.no_grad()
def test_perplexity_is_what_evaluate_says(subjects):
    _, folder, _ = subjects("demo").export("coded")
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(TEXT.read_text(), return_tensors="pt", add_special_tokens=False).input_ids[0]
    windows = ids[: 4 * 128].view(4, 128)
    loss = torch.stack([model(window[None], labels=window[None]).loss for window in windows]).mean()
    evaluated = answer("evaluate", folder, "--text", TEXT, "--window", 128, "--windows", 4)
    assert evaluated["meanNll"] == pytest.approx(loss.item(), abs=2e-3)  # codes at an edge, as above


def test_dense_runs_in_the_stock_architecture(subjects, tmp_path):
    project, _, _ = subjects("demo").export("joint")
    answer("export", project, "-o", tmp_path / "dense", "--form", "dense")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "dense", torch_dtype=torch.float32).eval()
    assert type(model).__name__ == "LlamaForCausalLM"
    ids = torch.randint(0, model.config.vocab_size, (2, 40), generator=torch.Generator().manual_seed(1))
    save_file({"input_ids": ids}, tmp_path / "input.safetensors")
    answer("forward", project, "--input", tmp_path / "input.safetensors", "-o", tmp_path / "output.safetensors")
    with torch.no_grad():
        found = model(ids).logits
    assert (found - load_file(tmp_path / "output.safetensors")["logits"]).abs().max() < 1e-3
