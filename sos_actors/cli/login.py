"""Logging in at the broker, from a desk with a browser, over SSH, or by a push to the phone."""

from __future__ import annotations

import asyncio
import getpass
import secrets
import sys
import time
import webbrowser
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sos_actors.cli import options
from sos_actors.cli.backfill import client_of
from sos_actors.errors import InputError

if TYPE_CHECKING:
    from sos_actors.config import Config
    from sos_actors.upstox.client import UpstoxClient
    from sos_actors.upstox.login import App
    from sos_actors.upstox.tokens import Token


def login(
    home: options.HomeOption = None,
    config: options.ConfigOption = None,
    paste: Annotated[
        bool, typer.Option("--paste", help="Wait for no browser here: paste the address it ends at (over SSH)")
    ] = False,
    request: Annotated[
        bool, typer.Option("--request", help="Let the broker ask by a push to the phone, and wait for its post")
    ] = False,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Take an access token from standard input")
    ] = False,
    if_needed: Annotated[bool, typer.Option("--if-needed", help="Do nothing while there is a living token")] = False,
) -> None:
    """Get the day's access token and store it; a running daemon takes it up by itself."""
    from sos_actors.upstox.tokens import TokenStore, find_token, read_token  # noqa: PLC0415

    folder, settings = options.home_folder(home), options.configuration(config)
    token = find_token(folder, time.time_ns()) if if_needed else None
    if token is not None and token.alive(time.time_ns()):
        print(f"logged in already: {_told(token)}")
        return
    if token_stdin:
        token = read_token(sys.stdin.read(), time.time_ns(), origin="standard input")
    else:
        client = client_of(settings)
        app = _app(settings)
        token = asyncio.run(_requested(client, app, settings)) if request else _by_code(client, app, settings, paste)
    token = confirm(client_of(settings, token.secret), token)
    TokenStore(folder).save(token)
    print(f"logged in: {_told(token)}")


def logout(home: options.HomeOption = None, config: options.ConfigOption = None) -> None:
    """End the token at the broker and forget it."""
    from upstox_client import LoginApi  # noqa: PLC0415

    from sos_actors.upstox.errors import BrokerError  # noqa: PLC0415
    from sos_actors.upstox.tokens import TokenStore  # noqa: PLC0415

    store = TokenStore(options.home_folder(home))
    token = store.load()
    if token is None:
        print("nobody was logged in")
        return
    try:
        client = client_of(options.configuration(config), token.secret)
        client.call("log out", LoginApi(client.api).logout, "2.0", answer=dict[str, Any])
    except (
        BrokerError
    ) as error:  # a token that is dead, or a broker that cannot be reached: it is forgotten all the same
        print(f"warning: {error}", file=sys.stderr)
    store.forget()
    print("logged out")


def confirm(client: UpstoxClient, token: Token) -> Token:
    """Ask the broker whose token it is; raises BrokerError when it is nobody's."""
    import msgspec  # noqa: PLC0415
    from upstox_client import UserApi  # noqa: PLC0415

    answer = client.call("read the profile", UserApi(client.api).get_profile, "2.0", answer=dict[str, Any])
    owner = str((answer.get("data") or {}).get("user_id") or "")
    if token.user_id and owner and owner != token.user_id:
        raise InputError(f"the token is said to be {token.user_id}'s, and the broker says {owner}'s: not stored")
    return msgspec.structs.replace(token, user_id=owner or token.user_id)


def _told(token: Token) -> str:
    from sos_actors.market.clocktime import ist_text  # noqa: PLC0415

    return f"{token.user_id or 'user unknown'}, until {ist_text(token.expires_at)}"


def _app(config: Config) -> App:
    from sos_actors.upstox.login import find_app  # noqa: PLC0415

    return find_app(config.login, getpass.getpass if sys.stdin.isatty() else None)


def _by_code(client: UpstoxClient, app: App, config: Config, paste: bool) -> Token:
    """Run the code flow: the person's browser, or the person, brings a code, which is exchanged for a token."""
    from upstox_client import LoginApi  # noqa: PLC0415

    from sos_actors.upstox import login as flow  # noqa: PLC0415
    from sos_actors.upstox.login_listener import is_local  # noqa: PLC0415

    state, redirect = secrets.token_urlsafe(24), config.login.redirect_uri
    url = flow.authorization_url(client.settings.host, app.client_id, redirect, state)
    print(f"Log in on this page:\n\n  {url}\n")
    listening = is_local(redirect) and not paste
    code = asyncio.run(_awaited(redirect, state, url, config)) if listening else _pasted(state)
    answer = client.call(
        "exchange the code for a token", LoginApi(client.api).token, "2.0", code=code, client_id=app.client_id,
        client_secret=app.client_secret, redirect_uri=redirect, grant_type="authorization_code", answer=dict[str, Any],
    )  # fmt: skip
    return flow.token_of_exchange(answer, time.time_ns())


async def _awaited(redirect: str, state: str, url: str, config: Config) -> str:
    from sos_actors.upstox.login import read_code  # noqa: PLC0415
    from sos_actors.upstox.login_listener import wait_for_redirect  # noqa: PLC0415

    print(f"Waiting at {redirect} for the browser to come back (on another machine: `login --paste`) ...")
    if sys.stdout.isatty():
        webbrowser.open(url)
    return await wait_for_redirect(redirect, lambda address: read_code(address, state), config.login.wait_s)


def _pasted(state: str) -> str:
    from sos_actors.upstox.login import read_code  # noqa: PLC0415

    print("Then copy the whole address the browser ended at (the page itself need not open), paste it here, Enter:")
    text = sys.stdin.readline()
    if not text.strip():
        raise InputError("nothing was pasted: begin the log-in again")
    return read_code(text, state)


async def _requested(client: UpstoxClient, app: App, config: Config) -> Token:
    """Ask the broker to ask the person, and wait for it to post the token to the notifier address."""
    from upstox_client import IndieUserTokenRequest, LoginApi  # noqa: PLC0415

    from sos_actors.upstox import login as flow  # noqa: PLC0415
    from sos_actors.upstox.errors import BrokerError  # noqa: PLC0415
    from sos_actors.upstox.login_listener import wait_for_post  # noqa: PLC0415

    async def read(body: bytes) -> Token:
        token = flow.pushed_token(body, app.client_id, time.time_ns())
        try:
            return await asyncio.to_thread(confirm, client_of(config, token.secret), token)
        except BrokerError as error:
            raise InputError(f"a posted token was not confirmed by the broker: {error}") from None

    own = config.login
    waiting = asyncio.create_task(
        wait_for_post(own.notifier_host, own.notifier_port, own.notifier_path, read, own.wait_s)
    )
    await asyncio.sleep(0)  # the listener comes up before the broker is asked
    try:
        answer = await asyncio.to_thread(
            client.call, "request a token", LoginApi(client.api).init_token_request_for_indie_user,
            IndieUserTokenRequest(client_secret=app.client_secret), app.client_id, answer=dict[str, Any],
        )  # fmt: skip
    except BaseException:
        waiting.cancel()
        raise
    until, notifier = flow.request_summary(answer)
    print(f"The broker asks you now, in its app or by WhatsApp; approve until {until}.")
    print(f"It will post the token to {notifier or 'the registered address'}, which must lead to "
          f"http://{own.notifier_host}:{own.notifier_port}{own.notifier_path}")  # fmt: skip
    return await waiting
