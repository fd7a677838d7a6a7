"""Bytes that a layer keeps for its backward pass, per token, from its modules; an estimate, checked against autograd's saved tensors.

Per token, with c bytes a number in compute (2 under autocast or for 16-bit weights) and w = out_features, i = in_features of a linear:

* linear with a trainable weight: its input, c*i, once for linears of one parent that read the same input
* LoRA on a linear: the cast input and the dropout mask, (c + 1)*i, and the output of A, c*r
* attention: q, k and v after the positions, and the result, c*(wq + wk + wv) + c*i(out), k and v as wide as q under sdpa (repeated heads),
  and 4 bytes a head; eager attention adds the probabilities in float32 and, where c is 2, in c: (4 + c)*heads*length
* MLP: what its activation reads and what is multiplied, c*(sum of w of all but the last linear), and c*i(last) more where it is gated or
  its activation is a product (quick GELU)
* norm: its input as float32, 4*width, and its result, c*width, where its weight is trainable; LayerNorm keeps 4*width, also under autocast
* experts (weights of three dimensions): the same as a gated MLP for each of the k experts of a token, and the gathered input

Source of the idea: Korthikanti et al. 2022, arXiv 2205.05198, section 4, which counts a GPT layer the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Compute:
    """`itemsize`: bytes a number in compute. `attention`: eager, sdpa or flash. `length`: tokens of a row. `experts`: of a token."""

    itemsize: int
    attention: str = "sdpa"
    length: int = 0
    experts: int = 1


def layer_bytes(layer: nn.Module, how: Compute) -> float:
    """Bytes a token that one layer keeps; see the module's docstring."""
    total = 0.0
    for module in layer.modules():
        linears = [child for child in module.children() if is_linear(child)]
        if linears and not hasattr(module, "base_layer"):  # an adapter counts as one linear
            total += linear_inputs(linears, how)
            total += attention_bytes(module, linears, how) if is_attention(module) else mlp_bytes(module, linears, how)
        total += expert_bytes(module, how)
    return total + norms_bytes(layer, how)


def base_of(module: nn.Module) -> nn.Module:
    """The linear under an adapter."""
    return module.get_base_layer() if hasattr(module, "get_base_layer") else module


def is_linear(module: nn.Module) -> bool:
    """Whether a module is a linear layer, adapted or not."""
    return isinstance(base_of(module), nn.Linear)


def is_attention(module: nn.Module) -> bool:
    """Whether a module is an attention, by its class or by the names of its linears."""
    names = {name for name, _ in module.named_children()}
    return "attention" in type(module).__name__.lower() or bool(names & {"q_proj", "qkv", "query_key_value", "c_attn", "qkv_proj"})


def linear_inputs(linears: list[nn.Module], how: Compute) -> float:
    """What linears of one parent keep of their inputs; all but the last read the same one."""
    total, shared = 0.0, set()
    for number, linear in enumerate(linears):
        base = base_of(linear)
        last = number == len(linears) - 1 and len(linears) > 1
        trained = base.weight.requires_grad
        key = "last" if last else base.in_features
        if trained and key not in shared:
            shared.add(key)
            total += how.itemsize * base.in_features
        if hasattr(linear, "lora_A") and linear.lora_A:
            rank = next(iter(linear.lora_A.values())).out_features
            dropout = any(isinstance(each, nn.Dropout) and each.p > 0 for each in linear.lora_dropout.values())
            total += (how.itemsize + dropout) * base.in_features + how.itemsize * rank
    return total


def attention_bytes(module: nn.Module, linears: list[nn.Module], how: Compute) -> float:
    """Queries, keys, values and the result of one attention."""
    bases = [base_of(linear) for linear in linears]
    result = bases[-1].in_features
    heads = heads_of(module)
    widths = [base.out_features for base in bases[:-1]]
    keys = min(sum(widths), 3 * result) if how.attention == "flash" and widths else 3 * result
    if len(widths) == 1:  # one linear for all three: its output stays for the values, queries and keys are new
        keys += 2 * result
    total = how.itemsize * (keys + result) + 4 * heads
    if how.attention == "eager":
        total += (4 + (how.itemsize if how.itemsize < 4 else 0)) * heads * how.length
    return total


def heads_of(module: nn.Module) -> int:
    """How many heads an attention has; 1 where it does not say."""
    for name in ("num_heads", "num_attention_heads"):
        if isinstance(value := getattr(module, name, None) or getattr(getattr(module, "config", None), name, None), int):
            return value
    return 1


def mlp_bytes(module: nn.Module, linears: list[nn.Module], how: Compute) -> float:
    """What the activation of an MLP keeps; nothing for a single linear."""
    bases = [base_of(linear) for linear in linears]
    if len(bases) < 2:
        return 0.0
    inner, outs = bases[-1].in_features, sum(base.out_features for base in bases[:-1])
    products = outs >= 2 * inner or any("quick" in type(child).__name__.lower() for child in module.children())
    return how.itemsize * (outs + (inner if products else 0))


def expert_bytes(module: nn.Module, how: Compute) -> float:
    """Experts whose weights are one tensor of three dimensions, (experts, in, out) or (experts, out, in)."""
    weights = [weight for weight in module.parameters(recurse=False) if weight.dim() == 3]
    if len(weights) < 2:
        return 0.0
    first, last = weights[0], weights[-1]
    hidden = next(iter(set(first.shape[1:]) & set(last.shape[1:])), min(first.shape[1:]))
    inner = last.numel() // last.shape[0] // hidden
    return how.experts * how.itemsize * (2 * hidden + 4 * inner)


def norms_bytes(layer: nn.Module, how: Compute) -> float:
    """What the norms of a layer keep; one over heads is as wide as all heads together."""
    total = 0.0
    for parent in layer.modules():
        wide = [base_of(child).out_features for child in parent.children() if is_linear(child)] if is_attention(parent) else []
        for norm in filter(is_norm, parent.children()):
            result = norm.weight.requires_grad and not isinstance(norm, nn.LayerNorm)
            total += max([norm.weight.numel(), *wide]) * (4 + (how.itemsize if result else 0))
    return total


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a norm with a weight."""
    return "norm" in type(module).__name__.lower() and isinstance(getattr(module, "weight", None), nn.Parameter)
