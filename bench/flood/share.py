# SPDX-License-Identifier: MIT OR Apache-2.0
"""A share of a CPU for one server: a control group of version 1 or 2, gone when it is closed."""

import os
import time
from pathlib import Path

V1 = Path("/sys/fs/cgroup/cpu")
V2 = Path("/sys/fs/cgroup")


class Share:
    """`quota` of every `period` microseconds. The kernel takes no quota and no period below 1,000."""

    def __init__(self, name, quota, period):
        self.name, self.quota, self.period = f"ttls-flood-{os.getpid()}-{name}", quota, period
        self.path = None

    def open(self):
        if (V1 / "cpu.cfs_quota_us").exists():
            self.path = V1 / self.name
            self.path.mkdir()
            (self.path / "cpu.cfs_period_us").write_text(str(self.period))
            (self.path / "cpu.cfs_quota_us").write_text(str(self.quota))
        elif "cpu" in controllers():
            (V2 / "cgroup.subtree_control").write_text("+cpu")
            self.path = V2 / self.name
            self.path.mkdir()
            (self.path / "cpu.max").write_text(f"{self.quota} {self.period}")
        else:
            raise RuntimeError("no cpu controller: neither /sys/fs/cgroup/cpu nor a cgroup v2 with it is mounted")

    def enter(self, command):
        """The command line that runs `command` inside."""
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.path / "cgroup.procs"), *command]

    def close(self):
        """After the server has ended."""
        for _ in range(100):
            try:
                if self.path is not None:
                    self.path.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError:  # a process is not quite gone yet
                time.sleep(0.05)
        raise RuntimeError(f"{self.path} can not be removed: processes are left in it")


def controllers():
    try:
        return (V2 / "cgroup.controllers").read_text().split()
    except OSError:
        return []
