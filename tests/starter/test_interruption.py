"""When a Ctrl-C is heard: each case in a process of its own, because signals are everybody's."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAD = """
import os, signal
from config.starter import interruption
from config.starter.interruption import Interrupted, begin_stopping, is_urgent, shielded
interruption.listen()
def press(number=signal.SIGINT): os.kill(os.getpid(), number)
"""


def run(code):
    ran = subprocess.run(
        [sys.executable, "-c", HEAD + code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def test_each_of_the_three_signals_interrupts():
    assert run("""
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    try:
        press(number)
    except Interrupted:
        print(number.name)
    interruption._requests.is_told = False
    interruption._requests.count = 0
""") == ["SIGINT", "SIGTERM", "SIGHUP"]


def test_inside_a_shield_it_is_heard_afterwards():
    assert run("""
try:
    with shielded():
        with shielded():
            press()
        print("inner")
    print("never")
except Interrupted:
    print("heard")
""") == ["inner", "heard"]


def test_it_is_told_once_and_a_second_press_makes_stopping_urgent():
    assert run("""
try:
    press()
except Interrupted:
    begin_stopping()
    print(is_urgent())
    press()
    print(is_urgent())
""") == ["False", "True"]


def test_a_press_while_a_failure_is_cleaned_up_does_not_hide_the_failure():
    assert run("""
try:
    try:
        raise ValueError
    finally:
        begin_stopping()
        press()
        print(is_urgent())
except ValueError:
    print("failure")
""") == ["True", "failure"]
