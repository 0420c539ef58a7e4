"""Asks nginx for every file in every way; prints the answers' checksums."""
import gzip
import hashlib
import sys
import urllib.request

SIZES = (0, 1, 100, 4095, 4096, 30000, 300000, 3000000)


def answer(path, headers):
    request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=120) as reply:
        body = reply.read()
        if reply.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return reply.status, len(body), hashlib.md5(body).hexdigest()


for size in SIZES:
    for place in ("", "/tls", "/kept", "/changed"):
        for headers in ({}, {"Accept-Encoding": "gzip"}):
            print(place, size, *answer(f"{place}/{size}.txt", headers))
print("range", *answer("/300000.txt", {"Range": "bytes=1000-1999,5000-5999"})[:2])
