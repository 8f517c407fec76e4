#!/usr/bin/env python3
"""A name server for specs: what it answers, the first label of the name says.

dns_server.py ADDRESS LOG: listens on port 53, prints "ready", and appends a line to LOG for each
question: the name, the number of the type, and over what it came.
"""
import socket
import struct
import sys
import threading
import time

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, CAA = 1, 2, 5, 6, 12, 15, 16, 28, 33, 257
OK, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
TRUNCATED = 0x0200


def question(message):
    """The name that is asked for, the type, and where the question ends."""
    at, labels = 12, []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode("latin1"))
        at += 1 + message[at]
    return ".".join(labels), struct.unpack(">H", message[at + 1:at + 3])[0], at + 5


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def reply(asked, code=OK, records=(), flags=0):
    """An answer with records, which are (type, data)."""
    end = question(asked)[2]
    head = asked[:2] + struct.pack(">HHHHH", 0x8180 | flags | code, 1, len(records), 0, 0)
    body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data for kind, data in records)
    return head + asked[12:end] + body


def a(*addresses):
    return [(A, socket.inet_pton(socket.AF_INET, address)) for address in addresses]


def aaaa(*addresses):
    return [(AAAA, socket.inet_pton(socket.AF_INET6, address)) for address in addresses]


HOSTS = {  # first label: IPv4, IPv6
    "four": (["10.0.0.9"], []),
    "six": ([], ["2001:db8::1"]),
    "both": (["10.0.0.1", "10.0.0.2"], ["2001:db8::1"]),
    "loopback": (["127.0.0.1"], ["::1"]),
    "empty": ([], []),
    "slow": (["10.0.0.3"], []),
    "half": (["10.0.0.1"], None),
    "wanted": (["10.0.0.4"], []),
    "holes": (["127.0.0.5", "127.0.0.1"], []),
}
RECORDS = {
    MX: [(MX, struct.pack(">H", 10) + wire("mx.test")), (MX, struct.pack(">H", 0) + wire(""))],
    SRV: [(SRV, struct.pack(">HHH", 1, 2, 5060) + wire("sip.test"))],
    SOA: [(SOA, wire("ns.test") + wire("admin.test") + struct.pack(">IIIII", 1, 2, 3, 4, 2**32 - 1))],
    CAA: [(CAA, b"\x80\5issueca.test")],
    TXT: [(TXT, b"\3abc\2de"), (TXT, b"\4a\0bc")],
    NS: [(NS, wire("ns1.test")), (NS, wire("ns2.test"))],
    PTR: [(PTR, wire("host.test"))],
    CNAME: [(CNAME, wire("real.test"))],
}
CODES = {"nxdomain": NXDOMAIN, "servfail": SERVFAIL, "refused": REFUSED, "notimp": NOTIMP, "formerr": FORMERR}


def broken(label, asked, end):
    """Answers that are none."""
    if label == "garbage":
        return asked[:2] + b"\x81\x80" + b"\xff" * 40
    if label == "short":
        return asked[:2] + b"\x81"
    if label == "wrongid":
        return bytes([asked[0] ^ 1]) + reply(asked, OK, a("6.6.6.6"))[1:]
    if label == "wrongname":
        return reply(asked[:12] + wire("other.test") + asked[end - 4:end], OK, a("6.6.6.6"))
    if label == "question":
        return asked
    if label == "loop":  # a name that is a pointer to itself
        data = struct.pack(">HHHIH", 0xC000 | end, A, 1, 60, 4) + b"\6\6\6\6"
        return asked[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + asked[12:end] + data
    if label == "badlength":
        return reply(asked, OK, [(A, b"\1\2\3")])
    if label == "cutoff":
        return reply(asked, OK, a("6.6.6.6"))[:-2]
    if label == "toomany":  # says that it has more than it has
        whole = reply(asked, OK, a("6.6.6.6"))
        return whole[:6] + b"\xff\xff" + whole[8:]
    return None


def answer(asked, over):
    name, kind, end = question(asked)
    label = name.split(".")[0].lower()
    if label == "silent" or (label == "half" and kind == AAAA):
        return None
    if label == "halffail" and kind == AAAA:
        return reply(asked, SERVFAIL)
    if label == "halffail":
        return reply(asked, OK, a("10.0.0.1"))
    if label in CODES:
        return reply(asked, CODES[label])
    if broken(label, asked, end):
        return broken(label, asked, end)
    if label in ("many", "pieces"):
        if over == "udp":
            return reply(asked, OK, [], TRUNCATED)
        return reply(asked, OK, a(*("10.1.0.%d" % i for i in range(1, 41))) if kind == A else [])
    if label == "slow":
        time.sleep(0.1)
    if label == "alias":
        records = [(CNAME, wire("real.test"))] + (a("10.0.0.7") if kind == A else [])
        return reply(asked, OK, records if kind in (A, CNAME) else records[:1])
    if label == "records" or name.endswith(".arpa"):
        return reply(asked, OK, RECORDS.get(kind, []))
    if label in HOSTS:
        return reply(asked, OK, a(*HOSTS[label][0]) if kind == A else aaaa(*HOSTS[label][1]))
    return reply(asked, NXDOMAIN)


def receive(stream, size):
    data = b""
    while len(data) < size:
        more = stream.recv(size - len(data))
        if not more:
            raise OSError("the end")
        data += more
    return data


def serve(stream, note):
    try:
        while True:
            asked = receive(stream, struct.unpack(">H", receive(stream, 2))[0])
            said = note(asked, "tcp")
            if said is None:
                continue
            said = struct.pack(">H", len(said)) + said
            size = 7 if question(asked)[0].startswith("pieces") else len(said)
            for at in range(0, len(said), size):
                stream.sendall(said[at:at + size])
                time.sleep(0.001)
    except OSError:
        stream.close()


def main():
    address, path = sys.argv[1:]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    datagrams, streams = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_STREAM)
    streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for one in (datagrams, streams):
        one.bind((address, 53))
    streams.listen(16)
    log = open(path, "a", encoding="latin1")

    def note(asked, over):
        name, kind, _ = question(asked)
        print(name, kind, over, file=log, flush=True)
        return answer(asked, over)

    def accept():
        while True:
            threading.Thread(target=serve, args=(streams.accept()[0], note), daemon=True).start()

    def say(asked, peer):
        said = note(asked, "udp")
        if said is not None:
            datagrams.sendto(said, peer)

    threading.Thread(target=accept, daemon=True).start()
    print("ready", flush=True)
    while True:
        threading.Thread(target=say, args=datagrams.recvfrom(4096), daemon=True).start()


main()
