"""What a run makes of what it read: does the mirror differ, and is it safe to remove what was not there?"""

from domain.settlement import Held, Step, settle
from domain.versions import Version


def differs(held: Held, version: Version, content: str | bytes | None) -> bool:
    """Whether what was read would change the mirror. What is newer there than the read is no difference."""
    return settle(held, version, content) in (Step.WRITE, Step.REMOVE)


def brake(removing: int, live: int, read: int, *, percent: int, records: int) -> str | None:
    """Why a run must not remove so much without somebody's word; None lets it go on.

    An empty answer is more often a fault than an empty shop, and a filter that suddenly matches nothing as well.
    """
    if read == 0 and live > 0:
        return f"Shopify listed nothing at all, and {live:,} records would be removed."
    if removing > records and removing * 100 > live * percent:
        return f"{removing:,} of {live:,} records would be removed, more than {percent} % and more than {records}."
    return None
