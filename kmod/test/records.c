// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Whether records fit what TCP can send: looks at their lengths between server and client. Runs in the guest, on a
 * network whose segments have 1448 bytes and take 10 ms; 0 if all is well.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include "guest.h"

#define PORT 8443
#define SEGMENT 1448
/* In TLS 1.2 with AES-GCM: header, nonce, tag. */
#define OVERHEAD (5 + 8 + 16)
#define AMOUNT 2000000

/* Lengths on the wire, headers included, of records with application data from the server. */
struct lengths {
	int count, first, smallest, largest, last, payload;
};

static void note(struct lengths *l, int len)
{
	/* The last one before the end is as long as what is left. */
	if (l->last && (!l->smallest || l->last < l->smallest))
		l->smallest = l->last;
	if (!l->count++)
		l->first = len;
	if (len > l->largest)
		l->largest = len;
	l->last = len;
	l->payload += len - OVERHEAD;
}

/* Passes bytes between a client and the server, which sees a window of about so many bytes. */
static pid_t relay(int from, int to, int window, struct lengths *lengths)
{
	static unsigned char b[65536], header[5];
	int l = listen_on(from), client, server, header_len = 0, rest = 0;
	struct sockaddr_in a = address(to);
	pid_t pid = fork();

	if (pid) {
		close(l);
		return pid;
	}
	client = accept(l, NULL, NULL);
	server = socket(AF_INET, SOCK_STREAM, 0);
	if (window)
		setsockopt(server, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window));
	if (connect(server, (void *)&a, sizeof(a)))
		_exit(1);
	for (;;) {
		struct pollfd p[2] = { { client, POLLIN, 0 }, { server, POLLIN, 0 } };
		int n;

		if (poll(p, 2, 120000) <= 0)
			_exit(1);
		if (p[0].revents) {
			n = read(client, b, sizeof(b));
			if (n <= 0 || write(server, b, n) != n)
				_exit(0);
		}
		if (!p[1].revents)
			continue;
		n = read(server, b, sizeof(b));
		if (n <= 0)
			_exit(0);
		for (int i = 0; i < n;) {
			if (rest) {
				int step = rest < n - i ? rest : n - i;

				rest -= step;
				i += step;
				continue;
			}
			header[header_len++] = b[i++];
			if (header_len < 5)
				continue;
			rest = header[3] << 8 | header[4];
			header_len = 0;
			if (header[0] == 23)
				note(lengths, 5 + rest);
		}
		if (write(client, b, n) != n)
			_exit(0);
	}
}

/* Sends much in one call, or as a file, and measures how. */
static struct lengths measure(int l, int window, int file)
{
	static char data[AMOUNT], b[64];
	struct lengths *lengths = mmap(NULL, sizeof(*lengths), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t through = relay(8444, PORT, window, lengths), reader = client(8444, "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256");
	int s = accept(l, NULL, NULL), sent = 0, n = 0;
	/* A small window takes a round trip for each of its fills. */
	int amount = window ? AMOUNT / 10 : AMOUNT;
	off_t at = 0;

	check("a request comes ", read(s, b, sizeof(b)) == 6);
	/* Long ago, for TCP: what follows is the first after a silence. */
	usleep(600000);
	if (file) {
		while (sent < amount && (n = sendfile(s, file, &at, amount - sent)) > 0)
			sent += n;
		check("a file goes ", sent == amount);
	} else {
		check("an answer goes, in one call ", write(s, data, amount) == amount);
	}
	shutdown(s, SHUT_WR);
	while (read(s, b, sizeof(b)) > 0)
		;
	close(s);
	waitpid(reader, NULL, 0);
	waitpid(through, NULL, 0);
	check("it arrives complete ", lengths->payload == amount);
	printf("     %d records, the first of %d bytes, of %d to %d bytes\n", lengths->count, lengths->first,
	       lengths->smallest, lengths->largest);
	check("the first record fits one segment ", lengths->first <= SEGMENT);
	/* A file comes in pages: what has waited for the next one for too long goes as it is. */
	if (!file)
		check("none but the last is less than half a segment ", lengths->smallest >= SEGMENT / 2);
	return *lengths;
}

/* With a closed window behind it, or without one. */
static void measure_both(int l, int file)
{
	struct lengths n = measure(l, 0, file);

	check("later ones are full ", n.largest == 16384 + OVERHEAD);
	/* Whole flights are of ten segments at least; those that end with what leaves at once are shorter. */
	check("and many: what waits is in no pieces ", n.count < 2 * AMOUNT / (10 * SEGMENT));
	n = measure(l, 6000, file);
	/* The kernel doubles it. How much of that is window it learns from the packets; never more than all. */
	check("under a small window, each record fits it ", n.largest <= 2 * 6000);
}

/* A file of that much. */
static int much(void)
{
	static char data[AMOUNT];
	int file = memfd_create("much", MFD_CLOEXEC);

	check("there is a file ", write(file, data, AMOUNT) == AMOUNT);
	return file;
}

int main(void)
{
	int l = listen_on(PORT);

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IONBF, 0);
	check("a listening socket takes the option ", secure(l) == 0);
	measure_both(l, 0);
	measure_both(l, much());
	return failed;
}
