"""A hostile page in the person's own browser, and everything that it tries.

It knows more than it could: the random name of the house, the port, and what to ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from personal_pipeline_tests.loopback import QuietHandler, listening

# Each is the body of an async function of { at: the UI, say: a mutation, read: a query }; what it
# returns is what the hostile page could read.
ATTEMPTS = {
    "image": """
        const one = new Image();
        const over = new Promise(end => { one.onload = one.onerror = end; });
        one.src = `${at}/graphql?query=${encodeURIComponent(say)}`;
        await over; return one.width ? 'an image' : null;""",
    "script": """
        const one = document.createElement('script');
        const over = ended(one);
        one.src = `${at}/graphql?query=${encodeURIComponent(read)}`;
        document.head.append(one); return await over;""",
    "style sheet": """
        const one = document.createElement('link');
        const over = ended(one);
        one.rel = 'stylesheet'; one.href = `${at}/server_info`;
        document.head.append(one); return await over;""",
    "form by GET": """
        form('get', `${at}/graphql`, 'application/x-www-form-urlencoded', 'query', say);
        return null;""",
    "form by POST": """
        form('post', `${at}/graphql`, 'application/x-www-form-urlencoded', 'query', say);
        return null;""",
    "form by POST, query in the address": """
        form('post', `${at}/graphql?query=${encodeURIComponent(say)}`, 'text/plain', 'a', 'b');
        return null;""",
    "form of JSON as text": """
        const text = JSON.stringify({query: say, more: ''});
        form('post', `${at}/graphql`, 'text/plain', text.slice(0, -2), '"}'); return null;""",
    "form of several parts": """
        form('post', `${at}/graphql`, 'multipart/form-data', 'query', say); return null;""",
    "form that forges an event": """
        form('post', `${at}/report_asset_materialization/wholesale/prices?data_version=forged`,
             'text/plain', 'a', 'b'); return null;""",
    "fetch": """
        const answer = await fetch(`${at}/graphql?query=${encodeURIComponent(read)}`);
        return await answer.text();""",
    "fetch with credentials": """
        const answer = await fetch(`${at}/graphql`, {method: 'POST', credentials: 'include',
            headers: {'content-type': 'application/json'}, body: JSON.stringify({query: say})});
        return await answer.text();""",
    "fetch without CORS": """
        const answer = await fetch(`${at}/graphql`, {method: 'POST', credentials: 'include',
            mode: 'no-cors', headers: {'content-type': 'text/plain;application/json'},
            body: JSON.stringify({query: say})});
        return await answer.text() || null;""",
    "fetch that forges an event": """
        await fetch(`${at}/report_asset_materialization/wholesale/prices?data_version=forged`,
            {method: 'POST', mode: 'no-cors', credentials: 'include'});
        return null;""",
    "fetch of a page": """
        const answer = await fetch(`${at}/runs`, {credentials: 'include'});
        return await answer.text();""",
    "beacon": """
        navigator.sendBeacon(`${at}/graphql`, new Blob([JSON.stringify({query: say})],
            {type: 'text/plain'})); return null;""",
    "stream of events": """
        const one = new EventSource(`${at}/graphql`, {withCredentials: true});
        return await new Promise(end => { one.onopen = () => end('open');
            one.onerror = () => { one.close(); end(null); }; });""",
    "websocket": """
        const one = new WebSocket(`${at.replace('http', 'ws')}/graphql`, 'graphql-ws');
        return await ended(one);""",
    "websocket without a protocol": """
        const one = new WebSocket(`${at.replace('http', 'ws')}/graphql`);
        return await ended(one);""",
    "frame": """
        const one = document.createElement('iframe');
        const over = new Promise(end => { one.onload = end; });
        one.src = `${at}/runs`; document.body.append(one); await over;
        try { return one.contentDocument.body.innerText || null; } catch { return null; }""",
    "object": """
        const one = document.createElement('object');
        const over = ended(one);
        one.type = 'text/html'; one.data = `${at}/runs`; document.body.append(one);
        return await over;""",
    "window": """
        const one = window.open(`${at}/graphql?query=${encodeURIComponent(say)}`);
        await new Promise(end => setTimeout(end, 700));
        try { return one.document.body.innerText || null; } catch { return null; }""",
    "window of a page": """
        const one = window.open(`${at}/runs`);
        await new Promise(end => setTimeout(end, 700));
        try { return one.document.body.innerText || null; } catch { return null; }""",
}
HOSTILE = """<!doctype html><title>kittens</title><body><script>
function ended(one) {
  return new Promise(end => {
    one.onload = one.onopen = () => end('it came');
    one.onerror = () => end(null);
  });
}
function form(method, action, enctype, name, value) {
  const one = Object.assign(document.createElement('form'), {method, action, enctype});
  one.target = '_blank';
  const field = document.createElement('textarea');
  field.name = name; field.value = value;
  one.append(field); document.body.append(one); one.submit();
}
</script>"""


@dataclass
class Elsewhere:
    """Somebody else's server on another port of this machine, and what browsers told it."""

    port: int
    told: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def somebody_elses_server() -> Iterator[Elsewhere]:
    """It serves the hostile page."""
    told: list[dict[str, str]] = []
    lock = Lock()

    class Handler(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802
            with lock:
                told.append({name.lower(): text for name, text in self.headers.items()})
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(HOSTILE.encode())

    with listening(Handler) as port:
        yield Elsewhere(port, told)


def attempt(
    context: Any, page: Any, body: str, at: str, say: str, read: str
) -> tuple[list[int], Any]:
    """The statuses with which the house answered, and what the page read."""
    answers: list[int] = []
    asked: list[str] = []

    def answered(response: Any) -> None:
        if response.url.startswith(at):
            answers.append(response.status)

    def failed(request: Any) -> None:
        if request.url.startswith(at):
            asked.append(request.failure or "failed")

    def connected(socket: Any) -> None:
        sockets.append(socket.url)

    sockets: list[str] = []
    page.on("websocket", connected)
    context.on("response", answered)
    context.on("requestfailed", failed)
    # a fetch whose answer the page may not read fails
    script = f"""async ({{at, say, read}}) => {{
        try {{ {body} }}
        catch (error) {{ if (error instanceof TypeError) return null; throw error; }}
    }}"""
    found = page.evaluate(script, {"at": at, "say": say, "read": read})
    for _ in range(50):
        if answers or asked or sockets:
            break
        page.wait_for_timeout(100)
    context.remove_listener("response", answered)
    context.remove_listener("requestfailed", failed)
    page.remove_listener("websocket", connected)
    assert answers or asked or sockets, "the house was asked"
    for other in context.pages:
        if other is not page:
            other.close()
    return answers, found
