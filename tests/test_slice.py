from syncgraph.upstream.slice import Slice


def test_time_in_which_nothing_is_awaited_does_not_count():
    its = Slice(4, ends=100)
    assert its.begin(0) == 4
    its.end(3)
    assert its.begin(50) == 51
    its.end(50.5)

    assert its.begin(60) == 60.5


def test_reads_side_by_side_spend_the_time_once():
    its = Slice(4, ends=100)
    assert (its.begin(0), its.begin(1)) == (4, 4)
    its.end(2)
    assert its.begin(2) == 4
    its.end(3)
    its.end(3)

    assert its.begin(10) == 11


def test_it_ends_with_the_operation_at_the_latest():
    its = Slice(4, ends=2)

    assert its.begin(0) == 2


def test_what_is_overdrawn_leaves_nothing():
    its = Slice(4, ends=100)
    its.begin(0)
    its.end(9)

    assert its.begin(10) == 5
