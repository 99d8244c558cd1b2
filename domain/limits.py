"""How many records SparkLayer recommends and can hold (its page on data limits)."""

from domain.issues import Issue

# feed: (what is counted, recommended, at most)
LIMITS = {"products": ("products", 25_000, 50_000), "customers": ("customers", 100_000, 250_000)}


def limit_issues(feed: str, count: int) -> tuple[Issue, ...]:
    what, recommended, most = LIMITS[feed]
    if count <= recommended:
        return ()
    code, limit = ("LIMIT_HARD", most) if count > most else ("LIMIT_RECOMMENDED", recommended)
    return (Issue(code, feed, None, {"count": count, "what": what, "limit": limit}),)
