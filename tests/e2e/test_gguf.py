# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""`--container gguf`: what is written is read back as the same model and tokenizer, and llama.cpp computes with it what the program
does. KVISTA_LLAMA_PYTHON names a Python that has llama-cpp-python; without it, and without the package beside the tests, what
needs it is skipped."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForCausalLM

from program import BAD_INPUT, MODEL, TEXTS, USAGE, answer, complaint, run

PYTHON = os.environ.get("KVISTA_LLAMA_PYTHON", sys.executable)
TEXT = ["The quick brown fox, it's 1234!", "  two spaces\n\nand a tab\t.", "naïve café — 你好 😀", "def f(x): return x ** 2"]
CHAT = "{% for message in messages %}{{ message['content'] }}{% endfor %}"

# Of each file logits of every row, eight tokens that follow the first row greedily, and the tokens of texts.
SCRIPT = """
import json, sys
import numpy
from llama_cpp import Llama
def answer(file, rows, texts):
    model = Llama(file, logits_all=True, n_ctx=128, n_batch=128, n_threads=1, verbose=False, type_k=0, type_v=0)
    logits = []
    for ids in rows:
        model.reset()
        model.eval(ids)
        logits.append(numpy.array(model.scores[: len(ids)]).tolist())
    model.reset()
    generated = model.generate(rows[0], temp=0.0, repeat_penalty=1.0, top_k=1)
    return {"tokens": [model.tokenize(text.encode(), add_bos=True, special=True) for text in texts], "logits": logits,
            "generated": [next(generated) for _ in range(8)], "template": model.metadata.get("tokenizer.chat_template")}
answers = {}
for name, asked in json.load(open(sys.argv[1])).items():
    try:
        answers[name] = answer(**asked)
    except Exception as error:
        answers[name] = {"error": str(error)}
json.dump(answers, open(sys.argv[2], "w"))
"""


def has(package):
    probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    return subprocess.run([PYTHON, "-c", probe], capture_output=True).returncode == 0


needs_llama = pytest.mark.skipif(not has("llama_cpp"), reason="no llama-cpp-python: KVISTA_LLAMA_PYTHON names a Python that has it")
needs_reader = pytest.mark.skipif(not has("gguf"), reason="no package gguf: KVISTA_LLAMA_PYTHON names a Python that has it")


def own_logits(subject, ids, folder):
    save_file({"input_ids": ids}, folder / "ids.safetensors")
    run("forward", subject, "--input", folder / "ids.safetensors", "-o", folder / "logits.safetensors")
    return load_file(folder / "logits.safetensors")["logits"]


def exported(model, folder, *options, keep=1.0):
    """A plan from the weights alone, and what it was exported as."""
    run("plan", model, "--method", "svd", "--keep", keep, "-o", folder / "plan.kvista")
    assert answer("export", folder / "plan.kvista", "-o", folder / "gguf", "--form", "dense", "--container", "gguf", *options)["verified"]
    return folder / "gguf"


def scored_tokenizer(space_prefix):
    """SentencePiece's kind, every pair of tokens whose union is a token being merged."""
    words = ["▁the", "▁quick", "▁brown", "he", "th", "the", "qu", "ick", "own", "br", "ca", "caf", "fox", "▁fox", "▁t", "▁q", "▁b", "▁f", "in", "ing"]
    letters = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *(chr(letter) for letter in range(33, 127)), "▁"]
    longer = set(words)
    for word in words:
        longer |= {word[:end] for end in range(2, len(word))}
    vocabulary = {token: number for number, token in enumerate([*letters, *sorted(longer, key=lambda token: (len(token), token))])}
    merges = [(token[:cut], token[cut:]) for token in vocabulary if token in longer for cut in range(len(token) - 1, 0, -1)
              if token[:cut] in vocabulary and token[cut:] in vocabulary]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    replace = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace]) if space_prefix else replace
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return tokenizer


def byte_tokenizer():
    alphabet = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("1", "2")]
    for left, right in merges:
        alphabet[left + right] = len(alphabet)
    tokenizer = Tokenizer(models.BPE(vocab=alphabet, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    return tokenizer


SMALL = dict(vocab_size=480, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=0)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=32)
# llama.cpp takes GELU from a table of 16-bit numbers; 1e-4 is what float32 gives.
FAMILIES = {
    "llama": dict(rope_parameters=LLAMA3),
    "qwen2": dict(rope_parameters=YARN),
    "qwen3": dict(head_dim=32),
    "gemma2": dict(head_dim=16, query_pre_attn_scalar=16, sliding_window=16),
    "gemma3_text": dict(head_dim=16, query_pre_attn_scalar=16, sliding_window=16, num_hidden_layers=7),
    "phi3": dict(partial_rotary_factor=0.5),
    "mixtral": dict(num_local_experts=4, num_experts_per_tok=2),
    "olmo2": {},
    "cohere": dict(logit_scale=0.25),
    "stablelm": dict(use_qkv_bias=True, qk_layernorm=True, use_parallel_residual=True),
    "gpt2": dict(n_embd=64, n_head=4, n_layer=2, n_positions=128, activation_function="gelu_new"),
    "gpt_neox": dict(hidden_act="gelu"),
    "deepseek_v2": dict(num_key_value_heads=4, kv_lora_rank=24, q_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=12, n_routed_experts=4, num_experts_per_tok=2,
                        n_shared_experts=1, moe_intermediate_size=32, first_k_dense_replace=1, topk_method="greedy"),
}
TYPES = {"as-they-are": [], "float32": ["float32"], "float16": ["float16"], "bfloat16": ["bfloat16"]}
HAS_GELU = {"gemma2", "gemma3_text", "gpt2", "gpt_neox"}


@torch.no_grad()
def random_model(family, folder, tokenizer, **settings):
    torch.manual_seed(7)
    names = set(AutoConfig.for_model(family).to_dict()) | {"rope_parameters"}
    config = AutoConfig.for_model(family, **{key: value for key, value in (SMALL | settings).items() if key in names or key in settings})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    for parameter in model.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = dict(bos_token="<s>", eos_token="</s>") if tokenizer.token_to_id("<s>") else dict(eos_token="<|end|>")
    (folder / "tokenizer_config.json").write_text(json.dumps(special | {"chat_template": CHAT}))
    return model


class Compared:
    """Every family and every type of the demo model, exported, and what llama.cpp makes of it."""

    def __init__(self, folder):
        self.folder, self.tokenizers, self.expected = folder, {}, {}
        self.ids = torch.randint(3, 300, (2, 40), generator=torch.Generator().manual_seed(6))
        for name in [*FAMILIES, *TYPES]:
            (folder / name).mkdir()
        for family, settings in FAMILIES.items():
            self.tokenizers[family] = scored_tokenizer(family == "llama") if family in ("llama", "gemma2") else byte_tokenizer()
            with torch.no_grad():
                model = random_model(family, folder / family / "model", self.tokenizers[family], **settings)
                self.expected[family] = model(self.ids).logits
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self.export, [*FAMILIES, *TYPES]))
        asked = {name: {"file": str(folder / name / "gguf/model.gguf"), "rows": self.ids.tolist(), "texts": TEXT} for name in [*FAMILIES, *TYPES]}
        (folder / "asked.json").write_text(json.dumps(asked))
        done = subprocess.run([PYTHON, "-c", SCRIPT, folder / "asked.json", folder / "answers.json"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        self.answers = json.loads((folder / "answers.json").read_text())

    def export(self, name):
        if name in FAMILIES:
            exported(self.folder / name / "model", self.folder / name)
        else:
            options = [option for type in TYPES[name] for option in ("--weight-dtype", type, "--factor-dtype", type)]
            exported(MODEL, self.folder / name, *options, keep=0.75)

    def logits(self, name):
        assert "error" not in self.answers[name], self.answers[name]["error"]
        return torch.tensor(self.answers[name]["logits"])


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    return Compared(tmp_path_factory.mktemp("compared"))


@needs_llama
@pytest.mark.parametrize("family", FAMILIES)
def test_llama_cpp_computes_what_transformers_does(compared, family):
    found, expected = compared.logits(family), compared.expected[family]
    assert (found - expected).abs().max() < (1e-2 if family in HAS_GELU else 1e-4) * max(1, expected.std())
    answer = compared.answers[family]
    assert answer["tokens"] == [compared.tokenizers[family].encode(text).ids for text in TEXT]
    assert answer["template"] == CHAT


# llama.cpp rounds activations to 16 bits where the matrices have 16.
@needs_llama
@pytest.mark.parametrize("name,share", [("as-they-are", 0.01), ("float32", 1e-5), ("float16", 1e-3), ("bfloat16", 0.01)])
def test_the_demo_model_generates_the_same_in_every_type(compared, name, share, tmp_path):
    found = compared.answers[name]
    ids = torch.cat([compared.ids[0], torch.tensor(found["generated"])])[None]
    expected = own_logits(compared.folder / name / "gguf", ids, tmp_path)[0]
    assert (compared.logits(name)[0] - expected[:40]).square().mean().sqrt() < share * expected.std()
    assert found["generated"] == expected[39:-1].argmax(-1).tolist()
    assert found["tokens"] == [Tokenizer.from_file(str(MODEL / "tokenizer.json")).encode(text).ids for text in TEXT]


def test_the_same_plan_gives_the_same_bytes_and_what_it_holds_is_the_dense_form(tmp_path):
    folder = exported(MODEL, tmp_path, keep=0.5)
    for name, options in {"again": ["--container", "gguf"], "dense": []}.items():
        run("export", tmp_path / "plan.kvista", "-o", tmp_path / name, "--form", "dense", *options)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "kvista-report.json", "model.gguf"]
    for file in folder.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()
    ids = torch.randint(1, 4096, (2, 16), generator=torch.Generator().manual_seed(3))
    assert torch.equal(own_logits(folder, ids, tmp_path), own_logits(tmp_path / "dense", ids, tmp_path))
    assert answer("verify", folder)["verified"]
    assert "llama-cli -m FOLDER/model.gguf" in (folder / "README.md").read_text()


READER = """
import json, sys
from gguf import GGUFReader
reader = GGUFReader(sys.argv[1])
fields = {name: field.contents() for name, field in reader.fields.items() if len(field.data) == 1}
tensors = {tensor.name: [tensor.tensor_type.name, tensor.shape.tolist(), float(tensor.data.astype("float64").sum()) if tensor.tensor_type.name == "F32" else None]
           for tensor in reader.tensors}
json.dump([fields, tensors], sys.stdout, default=str)
"""


@needs_reader
def test_the_reader_of_the_format_finds_metadata_and_tensors(tmp_path):
    folder = exported(MODEL, tmp_path, "--weight-dtype", "float32")
    fields, tensors = json.loads(subprocess.run([PYTHON, "-c", READER, folder / "model.gguf"], capture_output=True, text=True, check=True).stdout)
    config = json.loads((MODEL / "config.json").read_text())
    assert fields["general.architecture"] == "llama" and fields["tokenizer.ggml.pre"] == "gpt-2"
    for key, name in {"block_count": "num_hidden_layers", "embedding_length": "hidden_size", "feed_forward_length": "intermediate_size",
                      "attention.head_count": "num_attention_heads", "attention.head_count_kv": "num_key_value_heads",
                      "context_length": "max_position_embeddings", "vocab_size": "vocab_size"}.items():
        assert fields[f"llama.{key}"] == config[name]
    original = load_file(MODEL / "model.safetensors")
    type, shape, total = tensors["blk.3.ffn_down.weight"]
    weight = original["model.layers.3.mlp.down_proj.weight"]
    assert (type, shape) == ("F32", [weight.shape[1], weight.shape[0]])
    assert total == pytest.approx(weight.double().sum().item(), rel=1e-9)
    assert len(tensors) == len(original)


@pytest.mark.parametrize("options,reason", [
    (["--form", "latent"], "The form latent is not written into a GGUF file.* Plan with the method gqa or mla for a GGUF file"),
    (["--form", "dense", "--shard-size", "5MB"], "A GGUF file is written whole"),
])
def test_what_a_gguf_file_cannot_hold_is_refused_before_any_work(options, reason, tmp_path):
    done = run("compress", MODEL, "--text", TEXTS / "calibration.txt", "--method", "grouped", "--window", 64, "--windows", 4, "--container", "gguf", *options,
               "-o", tmp_path / "small", code=(USAGE, BAD_INPUT))
    assert re.search(reason, complaint(done))
    assert not list(tmp_path.iterdir())


def with_tokenizer(folder, **changes):
    """The demo model with another tokenizer.json."""
    folder.mkdir()
    for file in MODEL.iterdir():
        if file.name != "tokenizer.json":
            (folder / file.name).symlink_to(file)
    tokenizer = json.loads((MODEL / "tokenizer.json").read_text())
    for part, change in changes.items():
        tokenizer[part] = {**tokenizer[part], **change} if isinstance(tokenizer[part], dict) else change
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


@pytest.mark.parametrize("changes,reason", [
    ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "ByteLevel", "add_prefix_space": False}]}}, "has no name that is known"),
    ({"normalizer": {"type": "Lowercase"}}, "has no name that is known"),
    ({"model": {"byte_fallback": True}}, "does not treat spaces as SentencePiece does"),
])
def test_tokenizers_without_words_in_the_format_are_refused(changes, reason, tmp_path):
    model = with_tokenizer(tmp_path / "model", **changes)
    run("plan", model, "--method", "svd", "--keep", 0.5, "-o", tmp_path / "plan.kvista")
    done = run("export", tmp_path / "plan.kvista", "-o", tmp_path / "small", "--form", "dense", "--container", "gguf", code=(USAGE, BAD_INPUT))
    assert re.search(f"The tokenizer cannot be written into a GGUF file: .*{reason}.* Export with --container safetensors", complaint(done))
    assert not (tmp_path / "small").exists()
