// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The servers of the comparison: `server PORT AMOUNT` answers whatever comes with so many bytes in one write, without TLS;
 * `server PORT AMOUNT FIRST NEXT` does so in TLS by OpenSSL, in records of FIRST bytes of plaintext and then of NEXT.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void answer_plain(int s, const char *body, int amount)
{
	char request[4096];
	int n;

	if (read(s, request, sizeof(request)) <= 0)
		return;
	for (; amount > 0; body += n, amount -= n) {
		n = write(s, body, amount);
		if (n <= 0)
			return;
	}
	shutdown(s, SHUT_WR);
	while (read(s, request, sizeof(request)) > 0)
		;
}

static void answer_tls(SSL *ssl, const char *body, int amount, int first, int next)
{
	char request[4096];
	int n;

	if (SSL_accept(ssl) != 1 || SSL_read(ssl, request, sizeof(request)) <= 0)
		return;
	for (int size = first; amount > 0; body += n, amount -= n, size = next) {
		n = SSL_write(ssl, body, amount < size ? amount : size);
		if (n <= 0)
			return;
	}
	SSL_shutdown(ssl);
	shutdown(SSL_get_fd(ssl), SHUT_WR);
	while (read(SSL_get_fd(ssl), request, sizeof(request)) > 0)
		;
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int l = socket(AF_INET, SOCK_STREAM, 0), one = 1, amount;
	SSL_CTX *context = NULL;
	char *body;

	if (argc != 3 && argc != 5)
		return 2;
	a.sin_port = htons(atoi(argv[1]));
	amount = atoi(argv[2]);
	body = calloc(1, amount);
	if (argc == 5) {
		context = SSL_CTX_new(TLS_server_method());
		if (SSL_CTX_use_certificate_chain_file(context, "cert.pem") != 1 ||
		    SSL_CTX_use_PrivateKey_file(context, "cert.key", SSL_FILETYPE_PEM) != 1)
			return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(l, SOL_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!body || bind(l, (void *)&a, sizeof(a)) || listen(l, 16)) {
		perror("server");
		return 1;
	}
	for (;;) {
		int s = accept(l, NULL, NULL);

		if (s < 0)
			continue;
		if (context) {
			SSL *ssl = SSL_new(context);

			SSL_set_fd(ssl, s);
			answer_tls(ssl, body, amount, atoi(argv[3]), atoi(argv[4]));
			SSL_free(ssl);
		} else {
			answer_plain(s, body, amount);
		}
		close(s);
	}
}
