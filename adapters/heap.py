"""How often Python looks for cycles of garbage: too often for processes that build thousands of records a turn."""

import gc


def settle() -> None:
    """Once, when everything is imported and opened: that will never be garbage, so no collection walks it again.

    A turn of five hundred products is a hundred thousand objects that all die by counting; at Python's own threshold
    of 700 they were walked over and over: a seventh of a turn's CPU, in pauses of tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
