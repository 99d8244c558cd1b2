"""Wrong passwords by name and address: after ten within a quarter of an hour, nobody is let in for a while."""

from hashlib import blake2b

import redis

MOST = 10
SECONDS = 900


def are_too_many(client: redis.Redis, name: str, address: str) -> bool:
    """False while Redis is away: whoever is woken at night must get in just then."""
    try:
        told = client.get(_key(name, address))
    except redis.RedisError:
        return False
    return told is not None and int(told) >= MOST


def count(client: redis.Redis, name: str, address: str) -> None:
    """One more. The quarter of an hour begins with the first."""
    key = _key(name, address)
    try:
        with client.pipeline(transaction=True) as pipe:
            pipe.set(key, 0, ex=SECONDS, nx=True)
            pipe.incr(key)
            pipe.execute()
    except redis.RedisError:
        return


def _key(name: str, address: str) -> str:
    """What was typed as a name may have been a password."""
    return f"wrong-passwords:{blake2b(f'{name}|{address}'.encode(), digest_size=16).hexdigest()}"
