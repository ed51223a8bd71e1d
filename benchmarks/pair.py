"""How added cost is measured: instrumented and plain blocks, alternating in one process, in thread CPU time.

The median of paired block differences hardly moves with what else the machine does; wall time does. Order is
swapped from block to block, and a plain-against-plain run shows the noise.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

Work = Callable[[], object]

DEPTHS = 16
"""CPython 3.11 and newer keep frames in chunks of 16 KiB; a call that crosses into the next one costs 20 µs.
Whether plain or instrumented code does is luck; so blocks run at different depths of the stack."""


def cpu_us(work: Work, calls: int, depth: int = 0) -> float:
    """Thread CPU time per call in µs, `depth` KiB further down the stack."""
    return _deeper(7 * depth, work, calls)


def _deeper(frames: int, work: Work, calls: int) -> float:
    if frames:
        return _deeper(frames - 1, work, calls)
    start = time.thread_time_ns()
    for _ in range(calls):
        work()
    return (time.thread_time_ns() - start) / calls / 1000


def added_us(plain: Work, instrumented: Work, *, blocks: int = 2 * DEPTHS, calls: int = 50) -> float:
    """What `instrumented` costs more than `plain`, per call in µs."""
    cpu_us(plain, calls)
    cpu_us(instrumented, calls)
    differences = []
    for block in range(blocks):
        gc.collect()
        depth = block // 2 % DEPTHS
        if block % 2:
            with_us = cpu_us(instrumented, calls, depth)
            without_us = cpu_us(plain, calls, depth)
        else:
            without_us = cpu_us(plain, calls, depth)
            with_us = cpu_us(instrumented, calls, depth)
        differences.append(with_us - without_us)
    return statistics.median(differences)


def median_of_rounds(measure: Callable[[], float], rounds: int = 3) -> tuple[float, float, float]:
    """Median, least and most of several measurements."""
    found = sorted(measure() for _ in range(rounds))
    return statistics.median(found), found[0], found[-1]
