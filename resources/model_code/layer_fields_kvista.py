# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Checks what `kvista` of a config.json says of the decoder, its layers and their groups. A damaged field would otherwise be taken for
another value and computed with, or end in an error far from it."""

BITS = (16, 8, 6, 4, 3, 2, 1)
MOST = 2**24
MISSING = object()  # a field that must be there, and one without a usual value


def wrong(field, found, wanted):
    shown = "missing" if found is MISSING else repr(found)
    shown = shown if len(shown) <= 80 else f"{shown[:80]}..."
    return ValueError(f"kvista{field} in config.json is {shown}; it must be {wanted}. Get the export again.")


def is_whole(value, least, most=MOST):
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def checked(owner, path, name, kind, wanted, usual=MISSING):
    """A field of an object, of one of the types `kind`; `usual`: where it is left out."""
    found = owner.get(name, usual)
    if not isinstance(found, kind) or isinstance(found, bool) != (kind is bool):  # in Python true is a whole number
        raise wrong(f"{path}.{name}", found, wanted)
    return found


def check_word(owner, path, name, words):
    if owner.get(name, MISSING) not in words:
        raise wrong(f"{path}.{name}", owner.get(name, MISSING), " or ".join(f'"{word}"' for word in words))


def check_count(owner, path, name, least, most=MOST, usual=MISSING):
    if not is_whole(found := owner.get(name, usual), least, most):
        raise wrong(f"{path}.{name}", found, f"a whole number from {least} to {most}")


def check_decoder(decoder):
    for name in ("embedding", "head"):
        checked(decoder, ".decoder", name, dict, "an object")
    for name in ("blocks", "ropes"):
        for place, part in enumerate(checked(decoder, ".decoder", name, list, "a list")):
            if not isinstance(part, dict):
                raise wrong(f".decoder.{name}[{place}]", part, "an object")
    for place, block in enumerate(decoder["blocks"]):
        path = f".decoder.blocks[{place}]"
        checked(block, path, "feed_forward", dict, "an object")
        rope = checked(block, path, "attention", dict, "an object").get("rope")
        if rope is not None and not is_whole(rope, 0, len(decoder["ropes"]) - 1):
            raise wrong(f"{path}.attention.rope", rope, f"one of the {len(decoder['ropes'])} ropes, counted from 0")


def check_group(group, path, heads, widths):
    """`heads`: of a side; `widths`: of a head, by its side. Answers its slots."""
    if not isinstance(group, dict):
        raise wrong(path, group, "an object")
    slots = checked(group, path, "slots", list, "a list of heads")
    for place, slot in enumerate(slots):
        is_pair = isinstance(slot, list) and len(slot) == 2
        if not is_pair or slot[0] not in ("key", "value") or not is_whole(slot[1], 0, heads - 1):
            raise wrong(f"{path}.slots[{place}]", slot, f'["key" or "value", a head from 0 to {heads - 1}]')
    check_word(group, path, "input", ("hidden", "heads"))
    for name, usual in (("identity", MISSING), ("centred", False), ("trellis", False)):
        checked(group, path, name, bool, "true or false", usual)
    checked(group, path, "predicted_from", (int, type(None)), "the number of a layer or null")
    width, rank, before = sum(widths[side] for side, _ in slots), 0, BITS[0] + 1
    for place, run in enumerate(checked(group, path, "runs", list, "a list of [bits, directions]")):
        is_run = isinstance(run, list) and len(run) == 2 and is_whole(run[0], 1) and run[0] in BITS and is_whole(run[1], 1)
        if not is_run or run[0] >= before:
            raise wrong(f"{path}.runs[{place}]", run, f"[bits, directions], bits falling, of {', '.join(map(str, BITS))}")
        before, rank = run[0], rank + run[1]
    if rank > width or (group["identity"] and rank != width):
        most = "" if group["identity"] else "at most "
        raise wrong(f"{path}.runs", group["runs"], f"of {most}{width} directions together, as many as its heads have numbers")
    return [tuple(slot) for slot in slots]


def check_layers(own, layers, heads, head_dim, has_groups):
    """`own`: `kvista`; `layers`, `heads` of a side and `head_dim`: of the sizes beside it; `has_groups`: the layers have some, and what
    goes with them. Errors: ValueError."""
    if not isinstance(own, dict):
        raise wrong("", own, "an object")
    check_decoder(checked(own, "", "decoder", dict, "an object"))
    described = checked(own, "", "layers", list, f"a list of {layers}, one a layer")
    if len(described) != layers:
        raise ValueError(f"kvista.layers in config.json has {len(described)} entries; it must have {layers}, num_hidden_layers. Get the export again.")
    for number, layer in enumerate(described):
        if not isinstance(layer, dict):
            raise wrong(f".layers[{number}]", layer, "an object")
        check_count(layer, f".layers[{number}]", "block", 0, len(own["decoder"]["blocks"]) - 1)
    if not has_groups:
        return
    check_word(own, "", "key_position", ("before_rope", "after_rope"))
    check_count(own, "", "exact_tokens", 0)
    checked(own, "", "token_numbers", bool, "true or false", False)
    check_count(own, "", "value_head_dim", 1, usual=head_dim)
    widths = {"key": head_dim, "value": own.get("value_head_dim", head_dim)}
    everything = sorted((side, head) for side in widths for head in range(heads))
    for number, layer in enumerate(described):
        path = f".layers[{number}].groups"
        groups = checked(layer, f".layers[{number}]", "groups", list, "a list")
        slots = [slot for place, group in enumerate(groups) for slot in check_group(group, f"{path}[{place}]", heads, widths)]
        is_without = layer.get("reads") is not None or (number == 0 and own.get("token_numbers", False))
        if not groups and not is_without:
            raise wrong(path, groups, "of all heads, as the layer neither reads another's cache nor stores the numbers of tokens (kvista.token_numbers)")
        if groups and sorted(slots) != everything:
            raise ValueError(
                f"kvista{path} in config.json hold {len(set(slots))} heads in {len(slots)} places; they must hold each of the layer's {len(everything)} "
                "heads, keys and values, once. Get the export again."
            )
