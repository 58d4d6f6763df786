"""Which GPUs are in this machine, what they have drawn so far, and since when it has been running.

NVML through nvidia-ml-py where it is installed (extra `gpu`); else the names that the driver leaves in /proc, without counters.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from alpaca_pipe.core.fast_dataclass import dataclass

_DRIVER = Path("/proc/driver/nvidia/gpus")
_LIBRARY = "libnvidia-ml.so.1"
_DEVICES = ("/dev/nvidiactl", "/dev/dxg")  # the latter under Windows


@dataclass(frozen=True)
class DetectedGpu:
    """One GPU of this machine. watts: the power limit in force; None where only the driver's own files could be read."""

    name: str
    uuid: str
    watts: float | None = None


@cache
def gpus() -> tuple[DetectedGpu, ...]:
    """The GPUs of this machine, each UUID once, whether this process may use them or not: all of them are rented."""
    found = list(_by_nvml()) or list(_by_driver())
    return tuple({gpu.uuid: gpu for gpu in found}.values())


def counters() -> dict[str, int]:
    """UUID -> millijoules since the driver was loaded. Empty where no counter can be read (before Volta, no NVML)."""
    nvml, found = _nvml(), {}
    for device in _devices():
        with contextlib.suppress(nvml.NVMLError):
            found[_text(nvml.nvmlDeviceGetUUID(device))] = int(
                nvml.nvmlDeviceGetTotalEnergyConsumption(device)
            )
    return found


def booted() -> float | None:
    """When this machine was started, in seconds of the epoch: the start of its first process. In a container that is the
    container's start, for its host may have been up for weeks. None where /proc does not say."""
    try:
        up = float(Path("/proc/uptime").read_text().split()[0])
        first = (
            Path("/proc/1/stat").read_text().rpartition(")")[2].split()
        )  # after the name: from field 3 on
        return (
            time.time() - up + int(first[19]) / os.sysconf("SC_CLK_TCK")
        )  # field 22, in ticks since the kernel's start
    except (OSError, ValueError, IndexError):
        return None


def boot_id() -> str:
    """A name for this run of the machine: the kernel's, and the start of the first process in it."""
    try:
        first = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}-{first}"
    except (OSError, IndexError):
        return ""


def process_name(pid: int) -> str:
    """A name that no later process of this machine can have, or "" if there is no such process: pid and start."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else f"{pid}-{fields[19]}-{boot_id()}"
    except (OSError, IndexError):
        pass
    if Path("/proc/1/stat").exists():
        return ""
    try:  # no /proc on this system: the pid alone has to do
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return str(pid)


def _is_known_to_the_loader() -> bool:
    """Whether anything hints at the library: a device, a folder named by the user, the loader's own list. No list: perhaps."""
    named = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    if any(Path(device).exists() for device in _DEVICES) or any(
        folder and Path(folder, _LIBRARY).exists() for folder in named
    ):
        return True
    try:
        return _LIBRARY.encode() in Path("/etc/ld.so.cache").read_bytes()
    except OSError:
        return True


@cache
def _nvml() -> Any:
    """pynvml with its library open, or None. Where there is no driver its import is spared, and that of ctypes."""
    if not _is_known_to_the_loader():
        return None
    import ctypes

    try:
        ctypes.CDLL(_LIBRARY)
        import pynvml
    except (OSError, ImportError):
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver in this machine
        return None
    return pynvml


def _devices() -> Iterator[Any]:
    nvml = _nvml()
    if nvml is None:
        return
    with contextlib.suppress(nvml.NVMLError):
        for index in range(nvml.nvmlDeviceGetCount()):
            yield nvml.nvmlDeviceGetHandleByIndex(index)


def _by_nvml() -> Iterator[DetectedGpu]:
    nvml = _nvml()
    for device in _devices():
        watts = None
        with contextlib.suppress(nvml.NVMLError):
            watts = nvml.nvmlDeviceGetEnforcedPowerLimit(device) / 1000
        yield DetectedGpu(
            _text(nvml.nvmlDeviceGetName(device)), _text(nvml.nvmlDeviceGetUUID(device)), watts
        )


def _by_driver() -> Iterator[DetectedGpu]:
    with contextlib.suppress(OSError):
        for file in sorted(_DRIVER.glob("*/information")):
            facts = dict(line.partition(":")[::2] for line in file.read_text().splitlines())
            name = facts.get("Model", "").strip()
            if name:
                yield DetectedGpu(name, facts.get("GPU UUID", "").strip() or file.parent.name)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
