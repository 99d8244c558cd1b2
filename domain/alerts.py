"""What on-call engineers are told without a Prometheus: when it is time, and in which words. Nothing personal in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

LAG_SECONDS = 300.0
DRIFT_GAPS = 20  # repaired in an hour, of causes that should not be
SIGNATURE_FAILURES = 5  # within a window
WINDOW_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What was counted last. `signature_failures` None: nobody knows at the moment."""

    dead: int
    oldest_live_seconds: float
    silent_shops: int
    gaps_last_hour: int
    signature_failures: int | None


@dataclass(frozen=True, slots=True)
class Kind:
    """An alert's title, where the console shows it, and its heading in docs/runbook.md."""

    title: str
    page: str
    runbook: str


KINDS: Mapping[str, Kind] = {
    "dead": Kind("Deliveries are dead", "/ops/issues", "dead-deliveries"),
    "lag": Kind("Webhooks wait too long", "/ops", "webhooks-wait-too-long"),
    "silence": Kind("A shop has fallen silent", "/ops/shops", "a-shop-has-fallen-silent"),
    "drift": Kind("Webhooks miss too much", "/ops/gaps", "webhooks-miss-too-much"),
    "signatures": Kind("Signatures do not fit", "/ops/rejected", "signatures-do-not-fit"),
}


def firing(facts: Facts) -> dict[str, str]:
    """The alerts that are on, each with a sentence that holds its figures."""
    on: dict[str, str] = {}
    if facts.dead:
        on["dead"] = f"{_count(facts.dead, 'delivery is', 'deliveries are')} dead and wait for a fix and a replay."
    if facts.oldest_live_seconds > LAG_SECONDS:
        minutes = int(facts.oldest_live_seconds // 60)
        on["lag"] = f"The oldest webhook has been waiting for {minutes} minutes."
    if facts.silent_shops:
        shops = _count(facts.silent_shops, "shop has", "shops have")
        on["silence"] = f"{shops} sent no webhook for much longer than usual."
    if facts.gaps_last_hour >= DRIFT_GAPS:
        on["drift"] = f"Runs repaired {facts.gaps_last_hour} changes in the last hour that webhooks should have told."
    if (facts.signature_failures or 0) >= SIGNATURE_FAILURES:
        on["signatures"] = (
            f"{facts.signature_failures} requests that claim to be webhooks of a topic we know had a signature that"
            " fits none of the app's secrets."
        )
    return on


def unknown(facts: Facts) -> frozenset[str]:
    """Alerts of which nobody can say whether they are on: they stay as they were."""
    return frozenset({"signatures"}) if facts.signature_failures is None else frozenset()


def _count(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


@dataclass(frozen=True, slots=True)
class Window:
    """Counts what a counter that only rises has risen lately, with three numbers: where it stood when the window began,
    when that was (seconds since 1970), and how much the window before had seen.
    """

    mark: float
    began: float
    before: float = 0.0

    def moved(self, counter: float, now: float) -> "Window":
        """The window after a look at the counter. One that was reset starts from zero."""
        mark = self.mark if counter >= self.mark else 0.0
        if now - self.began < WINDOW_SECONDS:
            return Window(mark, self.began, self.before)
        return Window(counter, now, counter - mark if now - self.began < 2 * WINDOW_SECONDS else 0.0)

    def risen(self, counter: float) -> int:
        return int(max(counter - self.mark, self.before))


def message(name: str, sentence: str, since: datetime, app_url: str, *, is_on: bool, again: bool) -> tuple[str, str]:
    """(subject, text) of a mail. `again`: it was told before and is still on."""
    kind = KINDS[name]
    if is_on:
        subject = f"Data Sync: {'still: ' if again else ''}{kind.title}"
        lines = [sentence, f"Since {_moment(since)}."]
    else:
        subject = f"Data Sync: resolved: {kind.title}"
        lines = ["It is over.", f"The last word was: {sentence}"]
    return subject, "\n\n".join([*lines, f"{app_url}{kind.page}", f"docs/runbook.md#{kind.runbook}"]) + "\n"


def _moment(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    return f"{utc:%H:%M} UTC on {utc.day} {utc:%B %Y}"
