"""Steps of training by faster products of the CPU: the values of torch's own, and torch as it was after each step."""

from __future__ import annotations

import pytest
import torch
from tiny_run import rows_of, sft, written
from torch import nn
from torch.nn import functional

from groundswift.swift_plugins.grounding.patches import cpu_training
from groundswift.swift_plugins.grounding.patches.cpu_training import LARGEST_ERROR, fast_products, onednn_error, onednn_is_better

KERNEL = (2, 14, 14)


@pytest.fixture(autouse=True)
def asked_again(plugin):
    """The answer about this processor, which is kept, is not that of another test."""
    onednn_is_better.cache_clear()
    yield
    onednn_is_better.cache_clear()


@pytest.fixture
def onednn(monkeypatch) -> float:
    """oneDNN on any processor -> the largest difference that its products may have."""
    error = onednn_error()
    monkeypatch.setattr(cpu_training, "onednn_is_better", lambda: True)
    return 1e-4 if error < LARGEST_ERROR else 0.1


def with_gradients(function, *tensors: torch.Tensor) -> list[torch.Tensor]:
    """The value of a function, and its gradients."""
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    value = function(*leaves)
    value.square().sum().backward()
    return [value.detach(), *(leaf.grad for leaf in leaves)]


def same(found: list[torch.Tensor], expected: list[torch.Tensor], error: float) -> bool:
    return all(
        torch.allclose(one, other, rtol=error, atol=error * float(other.abs().max())) for one, other in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_of_whole_patches_is_a_product(bias):
    torch.manual_seed(0)
    layer, patches = nn.Conv3d(3, 16, KERNEL, KERNEL, bias=bias), torch.randn(7, 3, *KERNEL)
    expected = with_gradients(layer, patches)
    with fast_products():
        found = with_gradients(layer, patches)
    assert found[0].shape == (7, 16, 1, 1, 1)
    assert same(found, expected, 1e-4)


@pytest.mark.parametrize("layer", [nn.Conv3d(3, 4, 2, 2), nn.Conv3d(3, 4, (2, 6, 6), padding=1), nn.Conv3d(3, 3, (2, 6, 6), groups=3)])
def test_any_other_convolution_is_left_alone(layer):
    patches = torch.randn(5, 3, 2, 6, 6)
    expected = layer(patches)
    with fast_products():
        assert torch.equal(layer(patches), expected)


@pytest.mark.parametrize(("length", "flash"), [(40, False), (600, True)])
def test_attention_has_the_same_values_by_the_kernel_of_its_length(onednn, length, flash):
    torch.manual_seed(0)
    states = [torch.randn(2, 2, length, 16) for _ in range(3)]
    attend = lambda *given: functional.scaled_dot_product_attention(*given, is_causal=True)  # noqa: E731
    expected = with_gradients(attend, *states)
    with fast_products():
        found = with_gradients(attend, *states)
        assert torch.backends.cuda.flash_sdp_enabled() is flash
        assert torch.get_float32_matmul_precision() == "medium"
    assert same(found, expected, onednn)


def test_torch_is_as_it_was_after_a_failed_step(onednn):
    before = (nn.Conv3d.forward, functional.scaled_dot_product_attention)
    with pytest.raises(RuntimeError, match="must match the size"), fast_products():
        functional.scaled_dot_product_attention(*[torch.randn(1, 1, 4, 4)] * 3) + torch.randn(3)
    assert (nn.Conv3d.forward, functional.scaled_dot_product_attention) == before
    assert (torch.get_float32_matmul_precision(), torch.backends.cuda.flash_sdp_enabled()) == ("highest", True)


@pytest.mark.parametrize(
    ("amd", "capability", "error", "better"),
    [(True, "AVX512", 5e-5, True), (True, "AVX512", 0.1, False), (True, "AVX2", 5e-5, False), (False, "AVX512", 5e-5, False)],
)
def test_onednn_is_used_where_it_is_faster_and_exact(monkeypatch, amd, capability, error, better):
    monkeypatch.setattr(cpu_training, "is_amd", lambda: amd)
    monkeypatch.setattr(cpu_training, "onednn_error", lambda: error)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert onednn_is_better() is better


def test_a_precision_of_the_user_stays(monkeypatch):
    monkeypatch.setattr(cpu_training, "is_amd", lambda: True)
    torch.set_float32_matmul_precision("high")
    try:
        with fast_products():
            assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_real_step_has_the_loss_and_gradient_of_torchs_own_products(plugin, tmp_path, monkeypatch, onednn):
    data, found, products = written(tmp_path / "rows.jsonl", rows_of(tmp_path, 4)), {}, []
    convolve = cpu_training.multiply_whole_patches
    monkeypatch.setattr(cpu_training, "multiply_whole_patches", lambda *given: products.append(1) or convolve(*given))
    for stock in ("1", ""):
        monkeypatch.setenv(cpu_training.STOCK, stock)
        found[stock] = sft(plugin, data, tmp_path / f"out{stock}")[0]
        assert bool(products) is (stock == "")
    for name in ("loss", "grad_norm"):
        assert float(found[""][name]) == pytest.approx(float(found["1"][name]), rel=max(onednn, 1e-3)), name
