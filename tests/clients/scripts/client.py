# SPDX-License-Identifier: MIT OR Apache-2.0
"""client.py HOST PORT ROOT: both versions, full and resumed, with Python's ssl."""
import socket
import ssl
import sys

host, port, root = sys.argv[1], int(sys.argv[2]), sys.argv[3]

for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context(cafile=root)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    session = None
    for resumed in (False, True):
        plain = socket.create_connection((host, port))
        with context.wrap_socket(plain, server_hostname="ttls.test", session=session) as tls:
            assert tls.session_reused == resumed, (version, resumed)
            assert tls.selected_alpn_protocol() == "http/1.1"
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            page = b""
            while piece := tls.recv(65536):
                page += piece
            assert page.startswith(b"HTTP/1.1 200") and b"sni=ttls.test\n" in page, page
            session = tls.session
            # The server has closed; this answers and waits for nothing more.
            tls.unwrap()
print("all is well")
