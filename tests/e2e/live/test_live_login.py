"""Tokens: a wrong one at the start, one that dies in mid-session, a new one that makes it all go on."""

from __future__ import annotations


def test_token_death_and_a_new_log_in(stand):
    one = stand("2026-11-20T09:16:00", 30.0)
    one.start()
    one.trades(2)
    pid = one.process.pid
    one.until(one.books.net, "something is held")
    one.faults(token_death=1)
    one.until(lambda: not one.status()["ready"], "the daemon knows that it is cut off")
    minute, entries = one.clock()[:5], one.books.entries()
    one.until(lambda: one.clock()[:5] > minute and one.clock()[6:] > "30", "a minute passes")
    assert one.books.entries() == entries, "entered with a dead token"
    one.new_token()
    one.settled()
    one.trades(4)
    one.protected()
    assert one.process.pid == pid


def test_a_wrong_token_at_the_start(stand, tmp_path):
    """It says so and waits, and goes on with the right one; neither is ever written anywhere."""
    file = tmp_path / "token"
    one = stand("2026-11-20T09:16:00", 30.0, environ={"SOS_UPSTOX_TOKEN_FILE": str(file)})
    right = one.sandbox.token()
    wrong = right[:-8] + "AAAAAAAA"
    one.planted += [wrong, right]
    file.write_text(wrong)
    one.start(wait=False)
    one.until(lambda: "token" in one.output.read_text().partition("until")[2].lower(), "it says what is wrong")
    assert one.books.orders() == ()
    file.write_text(right)
    one.settled()
    one.trades(2)
