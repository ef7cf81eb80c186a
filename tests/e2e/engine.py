# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""`kvista engine` spoken to as core/engine/protocol.md says, with a CBOR codec of its own."""

import struct
import subprocess

from program import ENVIRONMENT, PROGRAM


def _head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << (8 * size):
            return bytes([major << 5 | code]) + number.to_bytes(size, "big")
    raise ValueError(number)


def encode(value):
    if value is None or isinstance(value, bool):
        return bytes([0xF6 if value is None else 0xF5 if value else 0xF4])
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, dict):
        return _head(5, len(value)) + b"".join(encode(str(key)) + encode(each) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return _head(4, len(value)) + b"".join(map(encode, value))
    text = str(value).encode()
    return _head(3, len(text)) + text


def decode(data, at=0):
    """One value and where the next begins."""
    major, minor = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7 and minor in (25, 26, 27):
        size = {25: 2, 26: 4, 27: 8}[minor]
        return struct.unpack({2: ">e", 4: ">f", 8: ">d"}[size], data[at : at + size])[0], at + size
    if major == 7:
        return {20: False, 21: True, 22: None}[minor], at
    if minor >= 24:
        size = 1 << (minor - 24)
        minor, at = int.from_bytes(data[at : at + size], "big"), at + size
    if major < 2:
        return (minor if major == 0 else -1 - minor), at
    if major < 4:
        piece = bytes(data[at : at + minor])
        return (piece if major == 2 else piece.decode()), at + minor
    values = []
    for _ in range(minor * (major - 3)):
        value, at = decode(data, at)
        values.append(value)
    return (values if major == 4 else dict(zip(values[::2], values[1::2]))), at


class Engine:
    def __init__(self, *arguments, command=(PROGRAM,), environment=ENVIRONMENT):
        self.process = subprocess.Popen(
            [*command, "engine", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
        self.last_id = 0
        self.progress = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                pipe.close()
            except BrokenPipeError:  # what was not read any more
                pass

    def ask(self, method, **params):
        self.last_id += 1
        body = encode({"id": self.last_id, "method": method, "params": params})
        self.send(struct.pack("<I", len(body)) + body)
        return self.last_id

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def receive(self):
        """The next message; None at the end of the stream."""
        head = self.process.stdout.read(4)
        if not head:
            return None
        size = struct.unpack("<I", head)[0]
        body = self.process.stdout.read(size)
        message, end = decode(body)
        assert end == size == len(body)
        return message

    def await_progress(self, request):
        while True:
            message = self.receive()
            assert message is not None and "result" not in message and "error" not in message, message
            if message["id"] == request:
                return message["progress"]

    def answer(self, request):
        """The result, or the error as a dictionary with "code"; progress is kept."""
        while True:
            message = self.receive()
            assert message is not None, self.process.stderr.read().decode()
            if message["id"] != request:
                continue
            if "progress" in message:
                self.progress.setdefault(request, []).append(message["progress"])
                continue
            return message.get("result", message.get("error"))

    def call(self, method, **params):
        result = self.answer(self.ask(method, **params))
        assert not (isinstance(result, dict) and "code" in result), result
        return result

    def end(self):
        """Closes the input; the exit code, and that nothing came any more."""
        self.process.stdin.close()
        assert self.receive() is None
        return self.process.wait(timeout=60)
