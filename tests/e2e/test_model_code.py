# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The model code of `latent` exports, on tiny random models with random factors, against the stock model whose key and
value projections are changed by hooks."""

import itertools
import json
from pathlib import Path

import pytest
import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.dynamic_module_utils import get_relative_import_files, get_relative_imports

from latent_export import Group, Plan, compressed, random_group, write_export
from program import SOURCE

try:
    from transformers import Qwen3Config, Qwen3ForCausalLM
except ImportError:  # before transformers 4.51
    Qwen3Config = None

LAYERS, HEAD_DIM = 3, 16
SIZES = dict(
    vocab_size=97, hidden_size=64, intermediate_size=40, num_hidden_layers=LAYERS, max_position_embeddings=128,
    bos_token_id=1, eos_token_id=None, pad_token_id=0,
)


def make_model(kind):
    torch.manual_seed(7)
    config = {
        "llama-mha": lambda: LlamaConfig(**SIZES, num_attention_heads=4, num_key_value_heads=4),
        "llama-gqa-bias": lambda: LlamaConfig(
            **SIZES, num_attention_heads=4, num_key_value_heads=2, attention_bias=True, mlp_bias=True
        ),
        "mistral-window": lambda: MistralConfig(
            **SIZES, num_attention_heads=6, num_key_value_heads=2, head_dim=HEAD_DIM, sliding_window=9
        ),
        "qwen2": lambda: Qwen2Config(**SIZES, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True),
        "qwen3": lambda: Qwen3Config(
            **SIZES, num_attention_heads=6, num_key_value_heads=2, head_dim=HEAD_DIM, tie_word_embeddings=True
        ),
    }[kind]
    model_class = {
        "llama": LlamaForCausalLM, "mistral": MistralForCausalLM, "qwen2": Qwen2ForCausalLM,
        "qwen3": Qwen3Config and Qwen3ForCausalLM,
    }[kind.split("-")[0]]
    if model_class is None:
        pytest.skip("this transformers has no Qwen3")
    config = config()
    config._attn_implementation = "eager"
    model = model_class(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "norm" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
            elif "k_proj" in name or "v_proj" in name or "q_proj" in name:
                parameter.mul_(12)
            else:
                parameter.mul_(3)
    return model


def make_plan(kind, config):
    """Plans by the method they stand for; `n` numbers a token and layer, `h` heads."""
    generator = torch.Generator().manual_seed(3)
    h, d = config.num_key_value_heads, HEAD_DIM
    keys, values = [("key", i) for i in range(h)], [("value", i) for i in range(h)]

    def group(slots, widths):
        return random_group(generator, slots, d, widths)

    n = h * d
    if kind == "joint-16":
        return Plan([[group(keys + values, [16] * n)] for _ in range(LAYERS)])
    if kind == "separate-16":
        return Plan([[group(keys, [16] * (n // 2)), group(values, [16] * (n - 3))] for _ in range(LAYERS)])
    mixed = [16] * 3 + [8] * 5 + [6] * 3 + [4] * 4 + [3] * 3 + [2] * 3 + [1] * 2 + [0] * 4
    if kind == "joint-coded":
        return Plan([[group(values + keys[::-1], mixed + [8] * (n - len(mixed)))] for _ in range(LAYERS)], exact_tokens=4)
    if kind == "coded-no-exact":
        return Plan([[group(keys, [8] * 9 + [6] * 4), group(values, [4] * 11 + [3] * 3)] for _ in range(LAYERS)])
    if kind.startswith(("chained", "numbered")):
        layer = lambda: group(keys + values, [8] * 9 + [4] * 7 + [2] * 5 + [1] * 3)
        made = Plan([[layer()] for _ in range(LAYERS)], exact_tokens=0 if kind == "chained-no-exact" else 4)
        for number, (later,) in enumerate(made.layers[1:]):
            later.prediction = 0.5 * torch.randn(2 * n, 2 * n, generator=generator) / (2 * n) ** 0.5
            later.predicted_from = 0 if kind == "numbered-apart" else number
        if kind.startswith("numbered"):
            made.token_numbers, made.layers[0] = True, []
        return made
    if kind == "some-whole":
        whole = [Group(keys, [16] * n), Group(values, [16] * n)]
        return Plan([whole, [Group(keys, [16] * n), group(values, [8] * 6)], [group(keys, [8] * n), whole[1]]], exact_tokens=2)
    if kind == "whole":
        return Plan([[Group(keys + values, [16] * 2 * n)] for _ in range(LAYERS)])
    if kind == "coded-head":
        layer = lambda: [group([key], [8] * 6 + [6] * 3 + [4] * 2 + [3] * 2) for key in keys] + [group(values, [8] * 9 + [2] * 6)]
        return Plan([layer() for _ in range(LAYERS)], exact_tokens=4, after_rope=True)
    if kind == "head-16":
        layer = lambda: [group([key], [16] * 13) for key in keys] + [group([value], [16] * 12) for value in values]
        return Plan([layer() for _ in range(LAYERS)], after_rope=True)
    raise KeyError(kind)


MODELS = ["llama-mha", "llama-gqa-bias", "mistral-window", "qwen2", "qwen3"]
PLANS = ["joint-16", "separate-16", "joint-coded", "coded-no-exact", "some-whole", "whole", "coded-head", "head-16", "chained", "numbered"]


def load(folder, **kwargs):
    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, torch_dtype=torch.float32, **kwargs).eval()


def make_pair(model_kind, plan_kind, folder):
    stock = make_model(model_kind)
    plan = make_plan(plan_kind, stock.config)
    write_export(stock, plan, folder)
    return stock, plan, load(folder)


def tokens(batch, count, seed=0):
    return torch.randint(2, SIZES["vocab_size"], (batch, count), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("model_kind, plan_kind", [*itertools.product(MODELS, PLANS), ("qwen2", "chained-no-exact"), ("qwen2", "numbered-apart")])
@torch.no_grad()
def test_logits_equal_the_stock_model_with_compressed_keys_and_values(model_kind, plan_kind, tmp_path):
    stock, plan, exported = make_pair(model_kind, plan_kind, tmp_path)
    ids = tokens(2, 24)
    with compressed(stock, plan):
        expected = stock(ids, use_cache=False).logits
    assert (exported(ids, use_cache=False).logits - expected).abs().max() < 1e-4
    if plan_kind != "whole":
        assert (stock(ids, use_cache=False).logits - expected).abs().max() > 1e-2, "the plan changes nothing"


@pytest.mark.parametrize("plan_kind", PLANS)
@torch.no_grad()
def test_cached_steps_equal_one_pass_and_cost_the_planned_bytes(plan_kind, tmp_path):
    _, plan, exported = make_pair("llama-gqa-bias", plan_kind, tmp_path)
    ids = tokens(2, 20)
    whole = exported(ids, use_cache=False).logits
    cache, parts = None, []
    for begin, end in ((0, 3), (3, 9), *((i, i + 1) for i in range(9, 20))):
        output = exported(ids[:, begin:end], past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        parts.append(output.logits)
    assert (torch.cat(parts, 1) - whole).abs().max() < 1e-4

    planned = plan.bytes_per_token(number_bytes=4)  # float32 here
    numbers = 4 if plan.token_numbers else 0  # of every token, in place of a layer
    exact = plan.exact_tokens * (LAYERS - plan.token_numbers) * 2 * 2 * HEAD_DIM * 4
    assert cache.bytes_per_token() == planned
    assert cache.nbytes() == 2 * ((20 - plan.exact_tokens) * (planned - numbers) + exact + 20 * numbers)


CHOOSER = {"name": "snapkv", "queries": 4, "reach": 1, "sinks": 1, "window": 2, "exempt": 0}


def policy(share, **parts):
    return {"name": "", "share": share, "interval": 2, "positions": "none", **parts}


@pytest.mark.parametrize(
    "model_kind, plan_kind",
    [("llama-gqa-bias", "joint-coded"), ("mistral-window", "some-whole"), ("qwen3", "coded-head"), ("mistral-window", "head-16")],
)
@torch.no_grad()
def test_a_policy_that_leaves_all_changes_nothing_and_others_leave_what_they_should(model_kind, plan_kind, tmp_path):
    _, plan, exported = make_pair(model_kind, plan_kind, tmp_path)
    ids = tokens(2, 22)

    def read():
        cache, logits = None, []
        for begin, end in ((0, 12), *((i, i + 1) for i in range(12, 22))):
            output = exported(ids[:, begin:end], past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            logits.append(output.logits)
        return torch.cat(logits, 1), cache

    expected, _ = read()
    exported.config.kvista["policy"] = policy(1, chooser=CHOOSER)
    logits, cache = read()
    assert (logits - expected).abs().max() < 1e-4
    budget, heads = cache.policy.budget, exported.config.num_key_value_heads
    allowed = sum(budget.of_layer(layer, 16, 22) for layer in range(LAYERS))
    exported.config.kvista["policy"] = policy(allowed / (22 * budget.full_token), chooser=CHOOSER)
    logits, cache = read()
    assert (logits - expected).abs().max() > 1e-2
    for layer in cache.layers:
        index = layer.places.sort(-1).values  # no padding: a column is a token
        assert (index[..., -1] == 21).all() and (index[..., 0] == 0).all()
        assert (index.diff(dim=-1) > 0).all() and 3 <= index.shape[-1] <= 16
        assert layer.places.shape[1] == (heads if plan_kind == "head-16" else 1)


@pytest.mark.parametrize("plan_kind", ["joint-16", "joint-coded", "coded-head"])
@torch.no_grad()
def test_in_16_bit_the_cache_takes_the_planned_bytes(plan_kind, tmp_path):
    _, plan, exported = make_pair("qwen2", plan_kind, tmp_path)
    cache = exported.to(torch.bfloat16)(tokens(1, 30), use_cache=True).past_key_values
    assert cache.bytes_per_token() == plan.bytes_per_token()


@pytest.mark.parametrize("plan_kind", PLANS)
def test_greedy_generation_is_the_same_with_and_without_cache(plan_kind, tmp_path):
    _, _, exported = make_pair("mistral-window", plan_kind, tmp_path)
    ids = tokens(2, 7)
    settings = dict(max_new_tokens=20, do_sample=False, attention_mask=torch.ones_like(ids))
    cached = exported.generate(ids, **settings)
    assert cached.shape == (2, 27)
    assert torch.equal(cached, exported.generate(ids, use_cache=False, **settings))


@pytest.mark.parametrize("plan_kind", ["separate-16", "joint-coded", "coded-head", "chained", "numbered"])
def test_left_padded_rows_generate_what_they_generate_alone(plan_kind, tmp_path):
    _, _, exported = make_pair("llama-mha", plan_kind, tmp_path)
    rows = [tokens(1, count, seed=count)[0] for count in (9, 2, 6)]  # one shorter than the exact tokens
    ids = torch.stack([torch.cat([torch.zeros(9 - len(row), dtype=torch.long), row]) for row in rows])
    mask = torch.stack([torch.arange(9) >= 9 - len(row) for row in rows]).long()
    together = exported.generate(ids, attention_mask=mask, max_new_tokens=12, do_sample=False)
    for number, row in enumerate(rows):
        alone = exported.generate(row[None], attention_mask=torch.ones_like(row[None]), max_new_tokens=12, do_sample=False)
        assert torch.equal(together[number, 9:], alone[0, len(row) :])


@pytest.mark.parametrize("plan_kind", ["joint-16", "joint-coded", "coded-head", "numbered"])
def test_beam_search_and_sampling(plan_kind, tmp_path):
    _, _, exported = make_pair("llama-gqa-bias", plan_kind, tmp_path)
    ids = tokens(2, 7)
    settings = dict(max_new_tokens=10, attention_mask=torch.ones_like(ids))
    beams = dict(num_beams=3, do_sample=False, **settings)
    assert torch.equal(exported.generate(ids, **beams), exported.generate(ids, use_cache=False, **beams))
    sampled = []
    for use_cache in (True, False):
        torch.manual_seed(5)
        sampled.append(exported.generate(ids, do_sample=True, use_cache=use_cache, num_return_sequences=2, **settings))
    assert torch.equal(*sampled)


@pytest.mark.parametrize("plan_kind", ["joint-coded", "head-16", "chained", "numbered"])
def test_assisted_generation_rolls_the_cache_back(plan_kind, tmp_path):
    if transformers.__version__ < "4.50":
        pytest.skip("the assisted generation of this transformers knows its own cache classes only")
    _, _, exported = make_pair("llama-mha", plan_kind, tmp_path)
    assistant = make_model("llama-mha")
    ids = tokens(1, 7)
    settings = dict(max_new_tokens=16, do_sample=False, attention_mask=torch.ones_like(ids))
    assert torch.equal(exported.generate(ids, assistant_model=assistant, **settings), exported.generate(ids, **settings))


@torch.no_grad()
def test_a_conversation_continues_on_its_cache(tmp_path):
    _, _, exported = make_pair("qwen2", "joint-coded", tmp_path)
    ids = tokens(1, 12)
    settings = dict(max_new_tokens=5, do_sample=False, return_dict_in_generate=True)
    first = exported.generate(ids, attention_mask=torch.ones_like(ids), **settings)
    longer = torch.cat([first.sequences, tokens(1, 4, seed=9)], 1)
    mask = torch.ones_like(longer)
    second = exported.generate(longer, attention_mask=mask, past_key_values=first.past_key_values, **settings)
    assert torch.equal(second.sequences, exported.generate(longer, attention_mask=mask, **settings).sequences)


@torch.no_grad()
def test_saved_and_loaded_again_it_answers_the_same(tmp_path):
    _, _, exported = make_pair("qwen2", "joint-coded", tmp_path / "first")
    exported.save_pretrained(tmp_path / "second")
    again = load(tmp_path / "second")
    ids = tokens(1, 10)
    assert torch.equal(again(ids).logits, exported(ids).logits)
    config = AutoConfig.from_pretrained(tmp_path / "second", trust_remote_code=True)
    assert config.kvista == json.loads((tmp_path / "first" / "config.json").read_text())["kvista"]


@torch.no_grad()
def test_loss_and_logits_to_keep(tmp_path):
    _, _, exported = make_pair("llama-mha", "separate-16", tmp_path)
    ids = tokens(2, 10)
    output = exported(ids, labels=ids, output_hidden_states=True)
    expected = torch.nn.functional.cross_entropy(output.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert torch.allclose(output.loss, expected)
    assert len(output.hidden_states) == LAYERS + 1
    assert torch.equal(exported(ids, logits_to_keep=2).logits, output.logits[:, -2:])


@torch.no_grad()
def test_misuse_is_answered_with_a_sentence(tmp_path):
    _, _, exported = make_pair("llama-mha", "separate-16", tmp_path)
    ids = tokens(1, 5)
    with pytest.raises(ValueError, match=r"attention_mask has shape \(1, 4\)"):
        exported(ids, attention_mask=torch.ones(1, 4))
    with pytest.raises(TypeError, match="must be a KVistaCache, not tuple"):
        exported(ids, past_key_values=())
    config = json.loads((tmp_path / "config.json").read_text())
    config["kvista"]["format"] = 3
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="KVista format 3"):
        load(tmp_path)


@torch.no_grad()
def test_token_numbers_need_numbers(tmp_path):
    _, _, exported = make_pair("llama-mha", "numbered", tmp_path)
    with pytest.raises(ValueError, match="needs input_ids, not inputs_embeds"):
        exported(inputs_embeds=exported.get_input_embeddings()(tokens(1, 5)))
    config = json.loads((tmp_path / "config.json").read_text())
    config["kvista"]["policy"] = policy(0.5, chooser=CHOOSER)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="^Layer 0 of this checkpoint holds the numbers of tokens, which needs"):
        load(tmp_path)


@pytest.mark.parametrize("change", ["first", "later", "identity", "slots", "position", "policy"])
def test_chains_that_cannot_be_read_are_refused(change, tmp_path):
    make_pair("llama-mha", "chained", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    own = config["kvista"]
    group = own["layers"][1]["groups"][0]
    if change == "first":
        own["layers"][0]["groups"][0]["predicted_from"] = 0
    elif change == "later":
        group["predicted_from"] = 2
    elif change == "identity":
        group["identity"], group["runs"] = True, [[16, 2 * 4 * HEAD_DIM]]
    elif change == "slots":
        group["slots"] = group["slots"][::-1]
    elif change == "position":
        own["key_position"] = "after_rope"
    else:
        own["policy"] = policy(0.5, chooser=CHOOSER)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="^Layer [01] of this checkpoint is predicted from layer [012], which "):
        load(tmp_path)


def test_damaged_fields_are_named(tmp_path):
    """Each in one sentence that says which field it is, in which layer, and what stands there."""
    _, _, exported = make_pair("llama-mha", "numbered", tmp_path)
    written = (tmp_path / "config.json").read_text()
    make = type(exported.config)

    def first(own):
        return own["layers"][1]["groups"][0]

    damages = [
        (lambda own: own.update(token_numbers="false"), r"kvista.token_numbers in config.json is 'false'; it must be true or false."),
        (lambda own: own.update(token_numbers=[True]), r"kvista.token_numbers in config.json is \[True\]; it must be true or false."),
        (lambda own: own.update(token_numbers=None), r"kvista.token_numbers in config.json is None; it must be true or false."),
        (lambda own: own.update(token_numbers=False), r"kvista.layers\[0\].groups in config.json is \[\]; it must be of all heads, "),
        (lambda own: first(own).pop("predicted_from"), r"kvista.layers\[1\].groups\[0\].predicted_from in config.json is missing; "),
        (lambda own: first(own).update(predicted_from=False), r"kvista.layers\[1\].groups\[0\].predicted_from in config.json is False; "),
        (lambda own: first(own).update(identity="no"), r"kvista.layers\[1\].groups\[0\].identity in config.json is 'no'; it must be true or false."),
        (lambda own: first(own).update(input="head"), r"kvista.layers\[1\].groups\[0\].input in config.json is 'head'; it must be \"hidden\" or \"heads\"."),
        (lambda own: first(own)["runs"].reverse(), r"kvista.layers\[1\].groups\[0\].runs\[1\] in config.json is \[2, 5\]; .* bits falling"),
        (lambda own: first(own)["runs"][0].__setitem__(1, 999), r"kvista.layers\[1\].groups\[0\].runs in config.json is .* at most 128 directions"),
        (lambda own: first(own)["slots"][3].__setitem__(1, 4), r"kvista.layers\[1\].groups\[0\].slots\[3\] in config.json is \['key', 4\]; "),
        (lambda own: first(own)["slots"].pop(), r"kvista.layers\[1\].groups in config.json hold 7 heads in 7 places; .* each of the layer's 8 heads"),
        (lambda own: own["layers"][2]["groups"].clear(), r"kvista.layers\[2\].groups in config.json is \[\]; "),
        (lambda own: own["layers"][2].update(groups=None), r"kvista.layers\[2\].groups in config.json is None; it must be a list."),
        (lambda own: own["layers"][2].update(block=1), r"kvista.layers\[2\].block in config.json is 1; it must be a whole number from 0 to 0."),
        (lambda own: own["layers"].pop(), r"kvista.layers in config.json has 2 entries; it must have 3, num_hidden_layers."),
        (lambda own: own.update(layers={}), r"kvista.layers in config.json is {}; it must be a list of 3, one a layer."),
        (lambda own: own.update(exact_tokens=True), r"kvista.exact_tokens in config.json is True; "),
        (lambda own: own.update(key_position="before"), r"kvista.key_position in config.json is 'before'; "),
        (lambda own: own.pop("decoder"), r"kvista.decoder in config.json is missing; it must be an object."),
        (lambda own: own["decoder"].update(ropes=[]), r"kvista.decoder.blocks\[0\].attention.rope in config.json is 0; "),
    ]
    make(**json.loads(written))
    for damage, sentence in damages:
        config = json.loads(written)
        damage(config["kvista"])
        with pytest.raises(ValueError, match=f"^{sentence}.*Get the export again.$"):
            make(**config)
    with pytest.raises(ValueError, match="^config.json has no kvista, "):
        type(exported)(make())


@pytest.mark.parametrize("source", [1, 99, -1, "0"])
def test_a_layer_that_reads_no_earlier_one_is_refused(source, tmp_path):
    make_pair("llama-mha", "joint-16", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["kvista"]["layers"][1].update(groups=[], reads=source)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="^Layer 1 of this checkpoint reads the cache of layer "):
        load(tmp_path)


@pytest.mark.parametrize("entry", ["modeling_kvista.py", "serving_kvista.py", "configuration_kvista.py"])
def test_each_entry_imports_itself_what_its_imports_need(entry):
    """transformers 4.44 copies from a folder no other files than those that the file it was asked for imports."""
    folder = SOURCE / "resources/model_code"
    needed = {Path(file).stem for file in get_relative_import_files(folder / entry)}
    assert needed <= {*get_relative_imports(folder / entry), Path(entry).stem}
