"""A call in the background, and the queue of blocks between two threads."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.threads import Abandoned, BackgroundCall, BlockQueue


def fail():
    raise LookupError("not here")


def test_a_result_is_returned_and_a_failure_raised_where_it_is_read():
    assert BackgroundCall(lambda: 7).result() == 7
    call = BackgroundCall(fail)
    with pytest.raises(LookupError, match="not here"):
        call.result()
    assert isinstance(call.failure, LookupError)


def test_the_end_is_told_with_the_failure_that_is_known_by_then():
    seen = []
    for function in (fail, str):
        BackgroundCall(function, on_end=seen.append).wait()
    assert [type(each) for each in seen] == [LookupError, type(None)]


def test_waiting_may_end_early_by_what_is_called_meanwhile():
    go_on = threading.Event()
    call = BackgroundCall(lambda: go_on.wait(30))
    with pytest.raises(LookupError):
        call.result(fail)
    go_on.set()
    assert call.result() is True


@given(blocks=st.lists(st.binary(max_size=40)), size=st.integers(1, 50), most=st.integers(1, 4))
def test_what_is_written_is_read_in_order_and_whole(blocks, size, most):
    queue = BlockQueue(most)

    def write():
        for block in blocks:
            queue.write(block)

    call = BackgroundCall(write, on_end=queue.end)
    read = []
    while chunk := queue.read(size):
        assert len(chunk) <= size
        read.append(chunk)
    assert b"".join(read) == b"".join(blocks)
    assert queue.read(size) == b"", "asked again, the answer is the same"
    call.result()


def test_a_writer_that_fails_does_not_look_like_one_that_ended():
    queue = BlockQueue(2)
    queue.write(b"half")
    BackgroundCall(fail, on_end=queue.end).wait()
    assert queue.read(10) == b"half"
    for _ in range(2):
        with pytest.raises(LookupError):
            queue.read(10)


def test_a_full_queue_makes_the_writer_wait_until_it_is_read_or_abandoned():
    queue = BlockQueue(1)
    queue.write(b"first")
    call = BackgroundCall(lambda: queue.write(b"second"))
    call.wait(0.1)
    assert queue.read(10) == b"first"
    call.result()
    waiting = BackgroundCall(lambda: queue.write(b"third"))
    queue.abandon()
    with pytest.raises(Abandoned):
        waiting.result()


@pytest.mark.parametrize("side", ["reader", "writer"])
@pytest.mark.parametrize("failure", [None, LookupError("the disk is full")])
def test_a_side_that_waits_learns_that_the_other_has_gone_and_why(side, failure):
    queue = BlockQueue(1)
    if side == "reader":
        call = BackgroundCall(lambda: queue.read(10))
    else:
        queue.write(b"full")
        call = BackgroundCall(lambda: queue.write(b"more"))
    time.sleep(0.05)
    queue.abandon(failure)
    with pytest.raises(type(failure) if failure else Abandoned):
        call.result()
