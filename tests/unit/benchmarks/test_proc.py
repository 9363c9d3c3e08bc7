"""Reading /proc."""

import os
import time

from tests.benchmarks import proc
from tests.benchmarks.proc import Stat

STAT = "4711 ({}) S 12 4711 4711 0 -1 4194560 900 0 0 0 100 20 3 4 20 0 1 0 8812 9000000 512 1 1 0\n"


def test_cpu_time_is_user_and_system_with_reaped_children():
    assert proc.parse_stat(STAT.format("nginx")) == Stat(pid=4711, parent=12, ticks=127)


def test_a_command_name_with_blanks_and_parentheses_shifts_no_field():
    assert proc.parse_stat(STAT.format("a) R 1 (b")) == Stat(pid=4711, parent=12, ticks=127)


def test_a_tree_is_the_root_with_children_and_grandchildren_and_nobody_else():
    stats = [Stat(30, 20, 1), Stat(10, 1, 2), Stat(20, 10, 4), Stat(40, 1, 8), Stat(11, 10, 16)]

    assert {stat.pid for stat in proc.tree(stats, 10)} == {10, 20, 11, 30}


def test_the_tree_of_a_process_that_is_gone_is_empty():
    assert proc.tree([Stat(10, 1, 2)], 99) == []


def test_the_time_a_process_burns_is_counted():
    before = proc.cpu_seconds(os.getpid())
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass

    assert proc.cpu_seconds(os.getpid()) - before >= 0.03


def test_a_memory_field_is_read_in_kib_and_missing_ones_are_nothing():
    text = "Name:\tnginx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n"

    assert (proc.parse_status_kib(text, "VmHWM"), proc.parse_status_kib(text, "VmSwap")) == (2048, 0)
