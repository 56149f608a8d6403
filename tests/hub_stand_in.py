"""The Hugging Face Hub's HTTP interface, as far as making a repository, a commit and downloading need it."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_secret"
COMMIT = "0" * 40


class Hub(ThreadingHTTPServer):
    """`repos` are the files of each repository by name; `private` says which are. `calls`: method and path of each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.calls: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, code: int, content: bytes = b"{}", **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self) -> None:
        self.server.calls.append(f"{self.command} {self.path}")
        place = self.path.split("?")[0].strip("/")
        repo, _, rest = place.partition("/resolve/")
        name = rest.partition("/")[2]
        if self.path.startswith("/api/"):
            return self.answer(200, json.dumps({"id": "x", "sha": COMMIT, "siblings": []}).encode())
        files = self.server.repos.get(repo)
        if files is None or name not in files:
            code = "RepoNotFound" if files is None else "EntryNotFound"
            return self.answer(404, X_Error_Code=code, X_Error_Message="not found")
        etag = hashlib.sha256(files[name]).hexdigest()
        return self.answer(200, files[name], ETag=f'"{etag}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self.server.calls.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/validate-yaml":
            return self.answer(200, b'{"errors": [], "warnings": []}')
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, b'{"error": "Invalid credentials"}')
        parts = self.path.strip("/").split("/")
        if self.path == "/api/repos/create":
            given = json.loads(body)
            name = "/".join(filter(None, (given.get("organization"), given["name"])))
            self.server.repos.setdefault(name, {})
            self.server.private[name] = given.get("visibility") == "private" or bool(given.get("private"))
            return self.answer(200, json.dumps({"url": f"{self.server.address}/{name}", "id": name}).encode())
        if "preupload" in parts:
            asked: Any = json.loads(body)["files"]
            files = [{"path": each["path"], "uploadMode": "regular", "shouldIgnore": False} for each in asked]
            return self.answer(200, json.dumps({"files": files}).encode())
        if "commit" in parts:
            repo = "/".join(parts[2:4])
            for line in body.decode().splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    self.server.repos[repo][value["path"]] = base64.b64decode(value["content"])
            found = {"commitUrl": f"{self.server.address}/{repo}/commit/{COMMIT}", "commitOid": COMMIT}
            return self.answer(200, json.dumps(found | {"success": True}).encode())
        return self.answer(404)
