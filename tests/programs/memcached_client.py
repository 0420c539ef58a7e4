"""Four connections, each with its own keys: sets, changes, deletes and reads values; prints checksums."""
import hashlib
import socket
import sys
import threading


FEW = 300


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def ask(self, text, body=None):
        self.socket.sendall(text.encode() + b"\r\n" + (b"" if body is None else body + b"\r\n"))
        return self.file.readline().strip().decode()

    def get(self, key):
        words = self.ask(f"get {key}").split()
        if words == ["END"]:
            return None
        body = self.file.read(int(words[3]) + 2)[:-2]
        assert self.file.readline() == b"END\r\n"
        return body


def value(name, i):
    return (f"{name} {i} ".encode() * 40000)[:i * 7919 % 3000 if i % 100 else i * 7919 % 700000]


def talk(path, name, count, results):
    """With few keys, a checksum of all answers. With many, some are evicted: what is there must be right."""
    client, digest, few = Client(path), hashlib.sha256(), count <= FEW
    for i in range(count):
        body = value(name, i)
        assert client.ask(f"set {name}:{i} 0 0 {len(body)}", body) == "STORED"
        if i % 5 == 0:
            assert client.ask(f"append {name}:{i} 0 0 5", b",more") == "STORED"
        if i % 7 == 0:
            assert client.ask(f"delete {name}:{i}") == "DELETED"
        assert client.ask(f"set {name}:number 0 0 {len(str(i))}", str(i).encode()) == "STORED"
        assert client.ask(f"incr {name}:number 5") == str(i + 5)
        early = i * 17 % (i + 1)
        body = client.get(f"{name}:{early}")
        assert body in (None, value(name, early), value(name, early) + b",more")
        digest.update(b"none" if body is None else body)
    results[name] = digest.hexdigest() if few else "right"


results = {}
talkers = [threading.Thread(target=talk, args=(sys.argv[1], f"client{i}", int(sys.argv[2]), results)) for i in range(4)]
for talker in talkers:
    talker.start()
for talker in talkers:
    talker.join()
for name in sorted(results):
    print(name, results[name])
assert len(results) == 4
