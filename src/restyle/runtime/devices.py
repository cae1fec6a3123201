"""Where and how precisely to compute, by name."""

import torch

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
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
        raise ValueError(f"expected a device of this machine, got '{device}', which it has not")
    return device


def resolve_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """Find a precision by its name, or check a torch dtype.

    Raises:
        ValueError: Not one of float32, bfloat16 and float16.
    """
    found = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if found is None or found not in DTYPES.values():
        raise ValueError(f"expected a dtype of {', '.join(DTYPES)}, got {dtype}")
    return found
