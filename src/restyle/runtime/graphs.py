"""CUDA graphs: what a GPU does in a step of a training, launched at once instead of by Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

WARM_UP = 3  # calls before a capture, in which libraries choose their algorithms


class Replayed:
    """A function of tensors of fixed shapes, captured after a few calls and replayed from then on.

    It must compute on the GPU alone, without waiting for it, and the same thing in every call.
    """

    def __init__(self, function: Callable[..., Mapping[str, Tensor]]):
        """Take the function; its result is overwritten by the next call."""
        self.function = function
        self._calls = 0
        self._stream = torch.cuda.Stream()
        self._graph = torch.cuda.CUDAGraph()
        self._inputs: list[Tensor] = []
        self._result: Mapping[str, Tensor] = {}

    def __call__(self, *inputs: Tensor) -> Mapping[str, Tensor]:
        """Call the function."""
        self._calls += 1
        if self._calls <= WARM_UP:
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                result = self.function(*inputs)
            torch.cuda.current_stream().wait_stream(self._stream)
            return result
        if not self._inputs:
            self._inputs = [torch.empty_like(x).copy_(x) for x in inputs]
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._result = self.function(*self._inputs)
        for mine, given in zip(self._inputs, inputs, strict=True):
            mine.copy_(given)
        self._graph.replay()
        return self._result


def set_rate(group: dict[str, Any], rate: float) -> None:
    """Set the learning rate of an optimiser's group, whether a number or a tensor on the GPU."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate
