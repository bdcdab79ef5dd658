// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * One download: `client ADDRESS PORT WINDOW` asks for a page, reads it to its end, and prints the milliseconds from the request to the
 * first byte that can be used, to 14 KB, 64 KB and 1 MB; records of data; and what these have besides. WINDOW is the
 * socket's receive buffer, 0 for the kernel's choice.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long records, wire, last;

static void count(int sent, int version, int type, const void *header, size_t len, SSL *ssl, void *unused)
{
	const unsigned char *bytes = header;

	(void)version, (void)ssl, (void)unused;
	if (sent)
		return;
	if (type == SSL3_RT_HEADER && len >= 5 && bytes[0] == SSL3_RT_APPLICATION_DATA) {
		last = 5 + (bytes[3] << 8 | bytes[4]);
		wire += last;
		records++;
	} else if (type == SSL3_RT_INNER_CONTENT_TYPE && len >= 1 && bytes[0] != SSL3_RT_APPLICATION_DATA) {
		/* A ticket, or close_notify. */
		wire -= last;
		records--;
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	static const long marks[] = { 1, 14000, 64000, 1000000 };
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	double begun, times[4] = { 0 };
	struct sockaddr_in a = { .sin_family = AF_INET };
	int s = socket(AF_INET, SOCK_STREAM, 0), window, n, reached = 0;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	static char buffer[65536];
	long total = 0;

	if (argc != 4)
		return 2;
	inet_pton(AF_INET, argv[1], &a.sin_addr);
	a.sin_port = htons(atoi(argv[2]));
	window = atoi(argv[3]);
	if (window)
		setsockopt(s, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window));
	if (connect(s, (void *)&a, sizeof(a))) {
		perror("client");
		return 1;
	}
	SSL_set_cipher_list(ssl, "ECDHE-ECDSA-AES128-GCM-SHA256");
	SSL_set_ciphersuites(ssl, "TLS_AES_128_GCM_SHA256");
	SSL_set_tlsext_host_name(ssl, "bench.example");
	SSL_set_fd(ssl, s);
	if (SSL_connect(ssl) != 1) {
		fprintf(stderr, "client: no handshake\n");
		return 1;
	}
	/* Tickets are behind it. */
	usleep(1000000);
	SSL_set_msg_callback(ssl, count);
	begun = now();
	if (SSL_write(ssl, request, sizeof(request) - 1) <= 0)
		return 1;
	while ((n = SSL_read(ssl, buffer, sizeof(buffer))) > 0) {
		total += n;
		while (reached < 4 && total >= marks[reached])
			times[reached++] = now() - begun;
	}
	if (reached < 4) {
		fprintf(stderr, "client: the answer ends after %ld bytes\n", total);
		return 1;
	}
	printf("%.3f %.3f %.3f %.3f %ld %ld %ld\n", times[0], times[1], times[2], times[3], records, wire - total, total);
	return 0;
}
