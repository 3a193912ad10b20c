"""What stands in for the Hub where a test asks it about cards."""

import ast
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

Rules = Callable[[str, str], tuple[list[str], list[str]]]


def card_rules(shared: Path) -> Rules:
    """The loopback Hub's rules for cards, without its server and what that needs."""
    tree = ast.parse((shared / "tools" / "minihub.py").read_text())
    wanted = {"front_matter", "validate_card", "LICENSES", "COLORS"}
    names = [
        getattr(node, "name", None) or getattr(getattr(node, "targets", [None])[0], "id", None) for node in tree.body
    ]
    tree.body = [node for node, name in zip(tree.body, names, strict=True) if name in wanted]
    space: dict = {"re": re}
    exec(compile(tree, "minihub.py", "exec"), space)
    return space["validate_card"]


@contextmanager
def hub_that_says(errors: list[str], warnings: list[str], *, status: int) -> Iterator[tuple[str, list[dict]]]:
    """A server that answers every request alike; yields its address and what it was asked."""
    asked: list[dict] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            asked.append({"path": self.path, "headers": dict(self.headers), "body": json.loads(body)})
            answer = {
                "errors": [{"message": one} for one in errors],
                "warnings": [{"message": one} for one in warnings],
            }
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
