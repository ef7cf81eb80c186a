# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Every family: calibrated, planned to a quarter, exported `latent` and `dense`, and loaded by transformers, whose logits must
be those of the program's own forward pass."""

import functools
import json
import re

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM

from engine import Engine
from program import SHARED, TEXTS, USAGE, complaint, run

# Fixtures that differ from another one in their files or in what their RoPE is called.
SAME = {"llama-bin", "llama-fp16", "llama-legacy-rope", "llama-linear-rope", "mistral-nowindow"}
FAMILIES = sorted(
    folder
    for folder in (SHARED / "fixtures/families").glob("*")
    if (folder / "config.json").is_file() and folder.name not in SAME and not folder.name.endswith("-v5")
)
pytestmark = pytest.mark.skipif(not FAMILIES, reason=f"no fixtures of families in {SHARED}")
BEFORE, AFTER = "coded-joint", "coded-head"  # keys are compressed before and after RoPE
WINDOW = 32  # tokens; the shortest table of learned positions has 48
# Here the eager attention of transformers adds the linear biases twice.
SDPA = {"falcon-rw"}


def byte_tokenizer():
    alphabet = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


class Exports:
    """A family's plans and what they were exported as, by an engine that plans and exports what the verbs do (test_engine.py) without
    starting anew for each."""

    def __init__(self, engine, family, folder):
        self.folder, model, statistics = folder, folder / "model", folder / "statistics"
        model.mkdir()
        for file in family.iterdir():
            if file.name not in ("README.md", "reference.safetensors"):
                (model / file.name).symlink_to(file)
        byte_tokenizer().save(str(model / "tokenizer.json"))
        run("calibrate", model, "--text", TEXTS / "calibration.txt", "--window", WINDOW, "--tokens", 1024, "--no-response", "-o", statistics)
        inputs = {"model": model, "statistics": statistics}
        opened = engine.call("openStatistics", model=model, path=statistics)
        for method in (BEFORE, AFTER):
            target = {"kind": "share", "value": 0.25}
            wish = {"method": method, "target": target, "device": "h200", "context": 1024, "batch": 1}
            plan = engine.call("makePlan", **inputs, wish=wish)["planned"]["plan"]
            self.project(method).write_text(json.dumps({
                "format": "kvista-project", "version": 1, "model": {"path": str(model), "hash": opened["modelHash"]},
                "statistics": {"path": str(statistics), "tokensHash": opened["tokensHash"]}, "plan": plan}))
            for form, name in {"latent": method, "dense": "dense"}.items():
                if form == "latent" or method == BEFORE:
                    assert engine.call("export", **inputs, plan=plan, target=folder / name, form=form)["verified"]

    def project(self, method):
        return self.folder / f"{method}.kvista"

    @functools.cache
    def latent(self, method, dtype=torch.float32):
        return AutoModelForCausalLM.from_pretrained(self.folder / method, trust_remote_code=True, torch_dtype=dtype).eval()


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    with Engine() as engine:
        yield functools.cache(lambda family: Exports(engine, family, tmp_path_factory.mktemp(family.name)))


def tokens(model, count=40):
    return torch.randint(0, model.config.vocab_size, (2, count), generator=torch.Generator().manual_seed(1))


def own_logits(subject, ids, folder):
    save_file({"input_ids": ids}, folder / "input.safetensors")
    run("forward", subject, "--input", folder / "input.safetensors", "-o", folder / "output.safetensors")
    return load_file(folder / "output.safetensors")["logits"]


@pytest.fixture(params=FAMILIES, ids=lambda folder: folder.name)
def family(request):
    return request.param


@pytest.mark.parametrize("method", [BEFORE, AFTER])
@torch.no_grad()
def test_latent_exports_compute_what_was_planned(exports, family, method, tmp_path):
    made = exports(family)
    model = made.latent(method)
    ids = tokens(model)
    found, expected = model(ids, use_cache=False).logits, own_logits(made.project(method), ids, tmp_path)
    # A number on the edge of a code falls to its other side when sums are taken in another order; until that happens a
    # sequence agrees, afterwards it differs by what one step of one direction does.
    difference = (found - expected).abs().amax(-1)
    assert difference[:, :5].max() < 1e-3
    assert (difference < 1e-3).float().mean() > 0.2
    assert (found - expected).square().mean().sqrt() < 0.05 * expected.std()


@pytest.mark.parametrize("method", [BEFORE, AFTER])
@torch.no_grad()
def test_latent_exports_generate_the_same_with_cache_and_without_alone_and_padded(exports, family, method):
    # With so many digits no number comes to lie on the other side of a code's edge when sums are taken in another order.
    model = exports(family).latent(method, torch.float64)
    rows = [tokens(model, count)[0] for count in (9, 5)]
    ids = torch.stack([torch.cat([torch.zeros(9 - len(row), dtype=torch.long), row]) for row in rows])
    mask = torch.stack([torch.arange(9) >= 9 - len(row) for row in rows]).long()
    settings = dict(max_new_tokens=12, min_new_tokens=12, do_sample=False, pad_token_id=0)
    together = model.generate(ids, attention_mask=mask, **settings)
    assert torch.equal(together, model.generate(ids, attention_mask=mask, use_cache=False, **settings))
    for number, row in enumerate(rows):
        alone = model.generate(row[None], attention_mask=torch.ones_like(row[None]), **settings)
        assert torch.equal(together[number, 9:], alone[0, len(row) :])


@pytest.mark.parametrize("name,learned", [("gpt2", 48), ("opt", 64)])
@torch.no_grad()
def test_sequences_longer_than_learned_positions_are_refused(exports, name, learned):
    model = exports(SHARED / "fixtures/families" / name).latent(BEFORE)
    assert model(tokens(model, learned)).logits.isfinite().all()
    with pytest.raises(ValueError, match=f"learned positions for {learned} tokens; a sequence of {learned + 1} is too long"):
        model(tokens(model, learned + 1))


# What transformers 4.44 does otherwise, with the originals as well.
OLDER = {"llama31-rope": "takes the width of heads from the hidden size", "phi3": "has no sliding windows outside flash attention",
         "starcoder2": "has no sliding windows outside flash attention"}


@torch.no_grad()
def test_dense_exports_run_in_the_original_architecture(exports, family, tmp_path):
    if family.name in OLDER and transformers.__version__.startswith("4.44"):
        pytest.skip(f"transformers {transformers.__version__} {OLDER[family.name]}")
    folder = exports(family).folder / "dense"
    try:
        AutoConfig.from_pretrained(folder)
    except ValueError:
        pytest.skip(f"transformers {transformers.__version__} has no {family.name}")
    attention = "sdpa" if family.name in SDPA else "eager"
    model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32, attn_implementation=attention).eval()
    ids = tokens(model)
    assert (model(ids).logits - own_logits(folder, ids, tmp_path)).abs().max() < 1e-3


@torch.no_grad()
def test_linear_biases_of_long_sequences_are_rounded_as_transformers_does(tmp_path):
    torch.manual_seed(4)
    config = AutoConfig.for_model(
        "falcon", vocab_size=97, hidden_size=128, num_attention_heads=16, num_hidden_layers=2, alibi=True, multi_query=False,
        parallel_attn=False, new_decoder_architecture=False, bias=True,
    )  # the slopes of 16 heads are no powers of 2
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").float().eval()
    for parameter in model.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path / "model")
    ids = tokens(model, 600)
    assert (model(ids).logits - own_logits(tmp_path / "model", ids, tmp_path)).abs().max() < 1e-3


@pytest.mark.parametrize("name", ["llama", "gpt_neox", "deepseek_v2"])
def test_dense_refuses_keys_after_rope(exports, name, tmp_path):
    made = exports(SHARED / "fixtures/families" / name)
    narrow = tmp_path / "narrow.kvista"  # so few bytes that directions are dropped
    run("plan", made.folder / "model", "--stats", made.folder / "statistics", "--method", AFTER, "--times-smaller", 16, "-o", narrow)
    done = run("export", narrow, "-o", tmp_path / "dense", "--form", "dense", code=USAGE)
    assert re.search(r"compresses keys after RoPE .* Export the form latent", complaint(done), re.S)
    assert list(tmp_path.iterdir()) == [narrow]
