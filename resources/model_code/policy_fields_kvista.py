# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Checks `kvista.policy` of a config.json, so that a wrong field is named before anything is read."""

MOST = 2**24  # tokens
SHARE, BITS, QUERIES = (0.0, 1.0), (1, 8), (1, 4096)  # least and most; a fraction where they are fractions

CHOOSERS = {
    "streaming-llm": {},
    "l2-norm": {},
    "curdkv": {"neighbours": (1, 65536)},
    "snapkv": {"queries": QUERIES, "reach": (0, 512)},
    "chunkkv": {"size": (1, 65536), "reuse": (1, 1024)},
    "dbudgetkv": {"loss": SHARE},
    "kvzip": {"part": (16, 65536)},
    "fast-kvzip": {},
    "attention-predictor": {},
}
OF_ALL_CHOOSERS = {"sinks": (0, MOST), "window": (0, MOST), "exempt": (0, 2**16)}
OVER_OTHERS, WITH_TENSORS = ("chunkkv", "dbudgetkv"), ("fast-kvzip", "attention-predictor")
HOLDERS = {
    "fp8": {},
    "hadamard": {"bits": BITS},
    "kivi": {"bits": BITS, "group": (1, 4096), "window": (0, 65536)},
    "decoquant": {"bits": BITS, "block": (1, 65536), "window": (0, 65536)},
    "think": {"kept": SHARE, "queries": QUERIES, "window": (0, 65536)},
    "zipcache": {"salient": SHARE, "high": BITS, "low": BITS, "queries": QUERIES},
    "cskv": {"window": (0, 65536)},
    "commonkv": {"merged": SHARE, "layers": (2, 1024), "sinks": (0, 65536), "window": (0, 65536)},
}
OF_HEADS, TOGETHER = ("think", "cskv"), ("kivi", "decoquant", "commonkv")


def wrong(field, found, wanted):
    return ValueError(f"kvista.policy{field} in config.json is {found!r}; it must be {wanted}. Export the model again.")


def check_number(field, found, bounds):
    least, most = bounds
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    if not is_number or not least <= found <= most or (isinstance(least, int) and found != int(found)):
        raise wrong(field, found, f"a {'whole ' if isinstance(least, int) else ''}number from {least} to {most}")


def check_part(field, part, known, shared):
    """A chooser or a holder: its name and all its options; others are read by nobody."""
    if not isinstance(part, dict) or part.get("name") not in known:
        raise wrong(f"{field}.name", part.get("name") if isinstance(part, dict) else part, "one of " + ", ".join(known))
    for option, bounds in {**known[part["name"]], **shared}.items():
        check_number(f"{field}.{option}", part.get(option), bounds)


def check_policy(policy, layers):
    """`layers`: `kvista.layers`. Errors: ValueError."""
    if not isinstance(policy, dict):
        raise wrong("", policy, "an object")
    check_number(".share", policy.get("share"), (1e-9, 1.0))
    check_number(".interval", policy.get("interval"), (0, MOST))
    if policy.get("positions") not in ("none", "layer", "unit"):
        raise wrong(".positions", policy.get("positions"), "none, layer or unit")
    chooser, holder = policy.get("chooser"), policy.get("holder")
    if chooser is None and holder is None:
        raise wrong("", policy, "an object with a chooser, a holder or both")
    groups = [group for layer in layers for group in layer["groups"]]
    has_hidden = any(group["input"] == "hidden" for group in groups)
    reads_exact = False
    if chooser is not None:
        check_part(".chooser", chooser, CHOOSERS, OF_ALL_CHOOSERS)
        names = [chooser["name"]]
        if chooser["name"] in OVER_OTHERS:
            by_themselves = {name: options for name, options in CHOOSERS.items() if name not in OVER_OTHERS + WITH_TENSORS}
            check_part(".chooser.over", chooser.get("over"), by_themselves, {})
            names.append(chooser["over"]["name"])
        reads_exact = "kvzip" in names and not all(group["identity"] for group in groups)
    if holder is not None:
        check_part(".holder", holder, HOLDERS, {})
        check_holder(holder, chooser, groups)
        if holder["name"] == "commonkv":
            check_merging(holder, [layer["groups"] for layer in layers])
        reads_exact = reads_exact or holder["name"] == "cskv"
    if reads_exact and has_hidden:
        raise ValueError(
            "The recorded policy reads keys and values as the model makes them, but this checkpoint has groups whose input is \"hidden\". "
            "Export the model again."
        )


def check_holder(holder, chooser, groups):
    name, latents = holder["name"], holder.get("latents", False)
    if not isinstance(latents, bool) or (latents and name in OF_HEADS):
        raise wrong(".holder.latents", latents, "true or false, and false of " + " and ".join(OF_HEADS))
    what = None
    if chooser is not None and name in TOGETHER:
        what = f"holds tokens together, of which {chooser['name']} cannot take some out"
    elif name != "cskv" and any(bits != 16 for group in groups for bits, _ in group["runs"]):
        what = "holds numbers of 16 bits in its own way, but this checkpoint holds codes"
    elif name != "cskv" and not latents and not all(group["identity"] for group in groups):
        what = "holds whole heads, but this checkpoint compresses them"
    if what is not None:
        raise ValueError(f"The recorded policy {name} {what}. Export the model again.")


def check_merging(holder, groups):
    """`groups`: of each layer."""
    if holder["layers"] > len(groups):
        raise ValueError(
            f"The recorded policy commonkv merges {holder['layers']} layers, but this checkpoint has {len(groups)}. Export the model again."
        )
    alike = [[(group["slots"], group["runs"]) for group in own] for own in groups]
    if holder.get("latents", False) and not all(len(own) == 1 and own == alike[0] for own in alike):
        raise ValueError(
            "The recorded policy commonkv merges latents, but the layers of this checkpoint have other groups than one another. "
            "Export the model again."
        )
