// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * An ordinary user's stream beside a server in the kernel, byte by byte: what a softirq does for strangers must not
 * touch the memory of the process that it interrupts. Runs on both sides of a network card.
 *
 *	bystander send ADDRESS PORT		guest: as another user than root, sends until the other side has had enough
 *	bystander judge PORT COMMAND...		host: takes that stream in and checks it while the command runs
 *	bystander refused PORT COUNT		host: connections of ten bytes each, which the server answers with an alert
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include "guest.h"

#define CHUNK (32 * 1024)
/* Of judge, for the stream to begin and to end. */
#define PATIENCE_MS (300 * 1000)

/* The stream's byte at a place: no two pages of it within 16 MB are alike. */
static unsigned char byte_at(uint64_t place)
{
	uint32_t word = (uint32_t)(place >> 2) * 2654435761u;

	word ^= word >> 15;
	return word >> 8 * (place & 3);
}

static int send_stream(const char *ip, int port)
{
	struct sockaddr_in a = address(port);
	int s = socket(AF_INET, SOCK_STREAM, 0);
	static unsigned char chunk[CHUNK];
	uint64_t place = 0;
	char b;

	a.sin_addr.s_addr = inet_addr(ip);
	if (setgid(1000) || setuid(1000) || connect(s, (void *)&a, sizeof(a))) {
		perror("connect");
		return 1;
	}
	while (recv(s, &b, 1, MSG_DONTWAIT) != 0) {
		for (size_t i = 0; i < CHUNK; i++)
			chunk[i] = byte_at(place + i);
		for (size_t sent = 0; sent < CHUNK;) {
			ssize_t n = send(s, chunk + sent, CHUNK - sent, MSG_NOSIGNAL);

			if (n < 0) {
				perror("send");
				return 1;
			}
			sent += n;
		}
		place += CHUNK;
	}
	printf("sent %llu bytes as user %d\n", (unsigned long long)place, getuid());
	return 0;
}

static int judge(int port, char **command)
{
	static unsigned char b[1 << 16];
	struct pollfd p = { listen_on(port), POLLIN, 0 };
	uint64_t place = 0, wrong = 0, first = 0;
	int s, status = 0, ended = 0;
	ssize_t n = 0;
	char text[160];
	pid_t load;

	setvbuf(stdout, NULL, _IONBF, 0);
	if (poll(&p, 1, PATIENCE_MS) != 1) {
		check("the guest sends a stream ", 0);
		return 1;
	}
	s = accept(p.fd, NULL, NULL);
	load = fork();
	if (!load) {
		execvp(command[0], command);
		_exit(127);
	}
	p.fd = s;
	while (poll(&p, 1, PATIENCE_MS) == 1 && (n = recv(s, b, sizeof(b), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++, place++) {
			if (b[i] == byte_at(place))
				continue;
			if (!wrong++)
				first = place;
		}
		if (!ended && waitpid(load, &status, WNOHANG) == load) {
			ended = 1;
			shutdown(s, SHUT_WR);
		}
	}
	if (!ended) {
		kill(load, SIGKILL);
		waitpid(load, NULL, 0);
	}
	errno = 0;
	check("the load ended well while the stream ran ", ended && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	check("the stream came to its end ", n == 0);
	snprintf(text, sizeof(text), "%llu of its %llu bytes are wrong, the first at %llu ", (unsigned long long)wrong,
		 (unsigned long long)place, (unsigned long long)first);
	check(text, place > 0 && wrong == 0);
	return failed;
}

/* Application data before a ClientHello: the server says that it is unexpected. */
static int refused(int port, int count)
{
	static const unsigned char early[10] = { 23, 3, 3, 0, 5, 1, 2, 3, 4, 5 };
	int answered = 0;

	for (int i = 0; i < count; i++) {
		unsigned char b[64];
		int s = reach(port), len = 0, n;

		if (write(s, early, sizeof(early)) != sizeof(early))
			perror("write");
		while ((n = read(s, b + len, sizeof(b) - len)) > 0)
			len += n;
		answered += len == 7 && b[0] == 21 && b[5] == 2 && b[6] == 10;
		close(s);
	}
	printf("%d of %d connections got their alert\n", answered, count);
	return answered != count;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "send"))
		return send_stream(argv[2], atoi(argv[3]));
	if (argc > 3 && !strcmp(argv[1], "judge"))
		return judge(atoi(argv[2]), argv + 3);
	if (argc == 4 && !strcmp(argv[1], "refused"))
		return refused(atoi(argv[2]), atoi(argv[3]));
	return 2;
}
