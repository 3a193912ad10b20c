"""What energy a training took, as far as it can be told without a meter."""

import re
from dataclasses import dataclass
from typing import Any

# Watts of one core at full load where the processor is not known, and of a gigabyte of memory, as the calculator of
# Lannelongue, Grealey, Inouye, Green Algorithms, Advanced Science 8, 2021 takes them (its data files, version 3.0).
CORE_WATTS, MEMORY_WATTS = 12.0, 0.3725
SOURCE = "Lannelongue et al. 2021, [Green Algorithms](https://doi.org/10.1002/advs.202100707)"
# Board power by what the name of an accelerator holds, from the makers' data sheets; the first that fits counts.
_BOARD_WATTS = (
    (r"H200 NVL", 600), (r"H200", 700), (r"H100 PCIe", 350), (r"H100 NVL", 400), (r"H100", 700),
    (r"A100-SXM", 400), (r"A100-PCIE-40GB|A100 40GB PCIe", 250), (r"A100.*PCIe", 300),
    (r"V100S", 250), (r"V100-SXM2", 300), (r"V100-PCIE", 250), (r"P100", 250),
    (r"\bT4\b", 70), (r"\bL40S\b", 350), (r"\bL4\b", 72), (r"RTX 4090", 450), (r"RTX 3090", 350),
)  # fmt: skip


@dataclass(frozen=True)
class Energy:
    """An estimate.

    Attributes:
        watt_hours: the energy.
        how: what was multiplied with what, in words.
    """

    watt_hours: float
    how: str

    def describe(self) -> str:
        """The figure with its unit: two significant digits, which is more than an estimate deserves."""
        value, unit = (self.watt_hours / 1000, "kWh") if self.watt_hours >= 1000 else (self.watt_hours, "Wh")
        digits = 0 if value >= 10 else 1 if value >= 1 else 2
        return f"{value:.{digits}f} {unit}" if value >= 0.01 else f"{value:.1g} {unit}"


def estimate_energy(speed: dict[str, Any], training: dict[str, Any]) -> Energy | None:
    """Time multiplied by the power of what computed; None where the time or the hardware is not known.

    Args:
        speed, training: of ``metrics.json``.
    """
    seconds, hardware = speed.get("train_runtime"), str(training.get("hardware") or speed.get("hardware") or "")
    if not seconds:
        return None
    processes = int(training.get("processes") or 1)
    threads = re.match(r"(\d+) CPU thread", hardware)
    if threads:
        cores, memory = processes * int(threads[1]), float(speed.get("peak_memory_mb") or 0) / 1000 * processes
        watts = cores * CORE_WATTS + memory * MEMORY_WATTS
        how = (
            f"{seconds:,.0f} s × ({cores} core{'' if cores == 1 else 's'} × {CORE_WATTS:g} W + "
            f"{memory:.2f} GB of memory × {MEMORY_WATTS:g} W), the powers from {SOURCE} "
            "for a processor that is not known, at full load"
        )
        return Energy(watts * seconds / 3600, how)
    board = next((watts for pattern, watts in _BOARD_WATTS if re.search(pattern, hardware)), None)
    if board is None:
        return None
    boards = f"{processes} × " if processes > 1 else ""
    how = f"{seconds:,.0f} s × {boards}{board} W, the board power in its maker's data sheet, as if at full load"
    return Energy(board * processes * seconds / 3600, f"{how}; the rest of the machine is not in it")
