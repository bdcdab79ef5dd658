# SPDX-License-Identifier: MIT OR Apache-2.0
"""CPU time and memory of a server, with all its processes and threads, from the kernel's own accounting."""

import os
import time


def tree(root):
    """The process `root` and all its descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    # The name, in parentheses, may hold anything.
                    parents[int(entry)] = int(stat.read().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                pass
    found, fresh = {root}, {root}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh}
        found |= fresh
    return found


def nanoseconds(pids):
    """What the scheduler has charged to all threads of these processes, ended ones included.

    This is sum_exec_runtime of each thread group, read through the process's CPU clock (clock_getcpuclockid(3)):
    unlike /proc/PID/schedstat it is brought up to date when it is read, and it forgets no thread.
    """
    scheduled = 2  # CPUCLOCK_SCHED in the kernel's posix-timers.h
    return sum(time.clock_gettime_ns((~pid << 3) | scheduled) for pid in pids)


def user_and_system(pids):
    """Seconds in user and in kernel mode: sampled by the timer tick, so good for their ratio only."""
    user = system = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
            user += int(fields[11])
            system += int(fields[12])
    tick = os.sysconf("SC_CLK_TCK")
    return user / tick, system / tick


def memory(pids):
    """Proportional set size in bytes: what the processes hold, shared pages counted once."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            for line in rollup:
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total
