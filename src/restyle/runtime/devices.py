"""Where and how precisely to compute, by name."""

import torch

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
    "fp16": torch.float16,
}


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Find a device: `"auto"` is CUDA where there is one, else Apple's MPS, else the CPU.

    Raises:
        ValueError: Not a device, or one that this machine does not have.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next((name for name, found in there.items() if found), "cpu"))
    try:
        device = torch.device(device)
    except RuntimeError:
        raise ValueError(f"expected a device (auto, cpu, cuda, mps), got {device!r}") from None
    if not there.get(device.type, True):
        raise ValueError(f"expected a device of this machine, got '{device}', not available")
    return device


def computes_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 itself: AVX-512 BF16, AMX, or a recent GPU.

    Other processors emulate it, ten to twenty times slower than float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, name)() for name in checks)


def resolve_dtype(
    dtype: str | torch.dtype = "auto", device: torch.device | None = None
) -> torch.dtype:
    """Find a precision by its name, or check a torch dtype.

    Args:
        dtype: `"auto"` (bfloat16 where the device computes it, else float32), float32, bfloat16
            or bf16, float16 or fp16.
        device: Where it shall be used; the CPU if None.

    Raises:
        ValueError: None of these.
    """
    if dtype == "auto":
        fast = computes_bfloat16(device or torch.device("cpu"))
        return torch.bfloat16 if fast else torch.float32
    found = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if found is None or found not in DTYPES.values():
        raise ValueError(f"expected a dtype of auto, {', '.join(DTYPES)}, got {dtype}")
    return found


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return a context in which networks compute in a precision; their weights keep their own."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def training_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Find the precision of a training, as `resolve_dtype` does.

    Raises:
        ValueError: bfloat16 is asked for on a device that would emulate it.
    """
    dtype = resolve_dtype(precision, device)
    if dtype == torch.bfloat16 and not computes_bfloat16(device):
        raise ValueError(
            f"precision: expected auto or float32 on this {device.type}, which does not compute "
            f"bfloat16 (AVX-512 BF16 or AMX) and would be many times slower, got {precision}"
        )
    return dtype
