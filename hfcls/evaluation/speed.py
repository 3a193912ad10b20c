"""How fast a classifier is, how much memory it takes, and on what."""

import platform
import resource
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

# What the figures of a training hang on.
_PACKAGES = ("hfcls", "torch", "torchvision", "transformers", "timm", "datasets", "accelerate", "pillow", "numpy")


def measure_speed(model: nn.Module, dataset: Any, collator: Any, *, device: torch.device) -> dict[str, Any]:
    """Latency, peak memory and the hardware, as ``metrics.json`` holds them; a stream gives no images to time."""
    latency = measure_latency(model, dataset, collator, device=device) if hasattr(dataset, "labels") else {}
    return {**latency, "peak_memory_mb": peak_memory_mb(device), "hardware": describe_hardware(device)}


def measure_latency(
    model: nn.Module, dataset: Any, collator: Any, *, device: torch.device, images: int = 100, warmup: int = 5
) -> dict[str, float | int]:
    """Time of one image alone: decoding, transform and forward pass, in milliseconds.

    Args:
        images: how many of the data set are timed, one by one.
        warmup: passes that are not timed.
    """
    model.to(device).eval()
    count = min(images, len(dataset))
    times = []
    with torch.inference_mode():
        for index in [0] * warmup + list(range(count)):
            start = time.perf_counter()
            batch = collator([dataset[index]])
            model(pixel_values=batch["pixel_values"].to(device)).logits.cpu()
            times.append((time.perf_counter() - start) * 1000)
    p50, p99 = np.percentile(times[warmup:], [50, 99])
    return {"latency_p50_ms": round(float(p50), 3), "latency_p99_ms": round(float(p99), 3), "latency_images": count}


def peak_memory_mb(device: torch.device) -> float:
    """The largest memory this process has held, in megabytes: of the accelerator, else of the machine."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 1e6, 1)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def describe_hardware(device: torch.device) -> str:
    """The class of hardware, without names of machines: cores and instruction set, or the accelerator."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    capability = torch.backends.cpu.get_cpu_capability()
    threads = torch.get_num_threads()
    return f"{threads} CPU thread{'' if threads == 1 else 's'}, {platform.machine()}, {capability}"


def describe_training(accelerator: Accelerator) -> dict[str, Any]:
    """When, in which precision, in how many processes and with which versions a training has run, for a record."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "finished": datetime.now(UTC).date().isoformat(),
        "precision": {"no": "fp32"}.get(accelerator.mixed_precision, accelerator.mixed_precision),
        "processes": accelerator.num_processes,
        "hardware": describe_hardware(accelerator.device),
        "versions": versions,
    }
