// SPDX-License-Identifier: MIT OR Apache-2.0
/* A server that sets the socket option itself, and clients that misbehave. Runs in the guest; 0 if all is well. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include "../c/uapi.h"
#include "guest.h"

#define PORT 8443

static int readable(int s, int ms)
{
	struct pollfd p = { s, POLLIN, 0 };

	return poll(&p, 1, ms) == 1;
}

static int is_gone(int s, int ms)
{
	char b[256];
	int n = 1;

	while (n > 0 && readable(s, ms))
		n = read(s, b, sizeof(b));
	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static int said(const char *text)
{
	static char b[8192];
	int f = open("/tmp/client", O_RDONLY), n = read(f, b, sizeof(b) - 1);

	close(f);
	b[n > 0 ? n : 0] = 0;
	return strstr(b, text) != NULL;
}

/* Passes bytes between a client and the server one at a time. */
static pid_t trickle(int from, int to)
{
	int l = listen_on(from), one = 1;
	pid_t pid = fork();

	if (!pid) {
		int a = accept(l, NULL, NULL), b = reach(to);
		struct pollfd p[2] = { { a, POLLIN, 0 }, { b, POLLIN, 0 } };
		char c;

		setsockopt(b, SOL_TCP, TCP_NODELAY, &one, sizeof(one));
		while (poll(p, 2, 20000) > 0) {
			for (int i = 0; i < 2; i++) {
				if (!p[i].revents)
					continue;
				if (read(p[i].fd, &c, 1) != 1 || write(p[!i].fd, &c, 1) != 1)
					_exit(0);
			}
		}
		_exit(0);
	}
	close(l);
	return pid;
}

static void refusals(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), keys[32], l, c;
	socklen_t len = sizeof(keys);

	check("a socket that does not listen is refused ", secure(s) && errno == EINVAL);
	check("as is one without TTLS: no information ", getsockopt(s, SOL_TLS, TTLS_INFO, keys, &len));
	close(s);
	l = listen_on(9443);
	if (!fork())
		_exit(setresuid(1000, 1000, 1000) || !secure(l) || errno != EPERM);
	wait(&c);
	check("an unprivileged user may not answer for the keys' names ", c == 0);
	close(l);
}

static void served(void)
{
	int l = listen_on(PORT), s, n;
	struct ttls_info info = {};
	socklen_t len = sizeof(info);
	char b[256];
	pid_t pid;

	check("a listening socket takes the option ", secure(l) == 0);
	pid = client(PORT, "-tls1_3 -servername one.example");
	s = accept(l, NULL, NULL);
	check("a blocking accept returns a finished connection ", s >= 0);
	check("it tells what was negotiated ", getsockopt(s, SOL_TLS, TTLS_INFO, &info, &len) == 0 && len == sizeof(info) &&
	      info.version == 0x304 && info.group && !info.resumed && !strcmp(info.server_name, "one.example") &&
	      info.fingerprint[0] == 't');
	len = sizeof(b);
	check("but not its keys ", getsockopt(s, SOL_TLS, 1, b, &len) && errno == ENOPROTOOPT);
	check("the request is read in plain text ", read(s, b, sizeof(b)) == 6 && !memcmp(b, "hello\n", 6));
	check("an answer is written ", write(s, "answer\n", 7) == 7);
	n = read(s, b, sizeof(b));
	check("close_notify reads as end of file ", n == 0);
	check("and again ", read(s, b, sizeof(b)) == 0);
	close(s);
	waitpid(pid, NULL, 0);
	check("the client got the answer ", said("answer"));

	pid = client(PORT, "-tls1_2");
	s = accept(l, NULL, NULL);
	check("TLS 1.2 is read in plain text ", s >= 0 && read(s, b, sizeof(b)) == 6);
	check("shutdown sends close_notify: the client answers and ends ", shutdown(s, SHUT_WR) == 0 && read(s, b, sizeof(b)) == 0);
	check("nothing can be written after it ", write(s, "x", 1) < 0 && errno == EPIPE);
	close(s);
	waitpid(pid, NULL, 0);

	n = trickle(8444, PORT);
	pid = client(8444, "-tls1_3");
	check("one byte at a time, TLS 1.3 ", readable(l, 20000) && (s = accept(l, NULL, NULL)) >= 0 && read(s, b, 1) == 1);
	close(s);
	waitpid(pid, NULL, 0);
	waitpid(n, NULL, 0);
	n = trickle(8445, PORT);
	pid = client(8445, "-tls1_2");
	check("one byte at a time, TLS 1.2 ", readable(l, 20000) && (s = accept(l, NULL, NULL)) >= 0 && read(s, b, 1) == 1);
	close(s);
	waitpid(pid, NULL, 0);
	waitpid(n, NULL, 0);

	pid = client(PORT, "-tls1_2 -no_ign_eof");
	waitpid(pid, NULL, 0);
	s = accept(l, NULL, NULL);
	check("of a client that sent close_notify and FIN before accept, the request is read ",
	      s >= 0 && read(s, b, sizeof(b)) == 6 && !memcmp(b, "hello\n", 6));
	check("then the end of file ", read(s, b, sizeof(b)) == 0);
	check("an answer is taken ", write(s, "x", 1) == 1);
	close(s);

	pid = client(PORT, "-tls1_3");
	check("a client that dies while it waits ", readable(l, 20000));
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	s = accept(l, NULL, NULL);
	if (s >= 0)
		close(s);
	check("does not hurt accept ", s >= 0 || errno == ECONNABORTED);
	close(l);
}

static void misbehaved(void)
{
	static const unsigned char half_hello[] = { 22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3 };
	static const unsigned char sslv2[] = { 0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10 };
	static const unsigned char huge[] = { 22, 3, 1, 0xff, 0xff };
	struct linger reset = { 1, 0 };
	int l = listen_on(PORT), e = epoll_create1(0), c, i, many[500];
	struct epoll_event event = { .events = EPOLLIN };
	pid_t pid;

	check("listening again ", secure(l) == 0);
	epoll_ctl(e, EPOLL_CTL_ADD, l, &event);
	c = reach(PORT);
	check("a silent client wakes nobody ", epoll_wait(e, &event, 1, 300) == 0);
	check("and is gone after the time-out ", is_gone(c, 5000));
	close(c);
	c = reach(PORT);
	check("half a ClientHello wakes nobody ", write(c, half_hello, sizeof(half_hello)) > 0 && epoll_wait(e, &event, 1, 300) == 0);
	check("and is gone after the time-out ", is_gone(c, 5000));
	close(c);
	c = reach(PORT);
	check("plain HTTP is closed at once ", write(c, "GET / HTTP/1.1\r\n\r\n", 18) == 18 && is_gone(c, 1500));
	close(c);
	c = reach(PORT);
	check("SSLv2 is closed at once ", write(c, sslv2, sizeof(sslv2)) > 0 && is_gone(c, 1500));
	close(c);
	c = reach(PORT);
	check("a record that is too long is closed at once ", write(c, huge, sizeof(huge)) > 0 && is_gone(c, 1500));
	close(c);
	for (i = 0; i < 20; i++) {
		c = reach(PORT);
		if (i % 2)
			write(c, half_hello, sizeof(half_hello));
		if (i % 4 > 1)
			setsockopt(c, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(c);
	}
	check("clients that leave early, by FIN or RST, wake nobody ", epoll_wait(e, &event, 1, 300) == 0);
	for (i = 0; i < 500; i++)
		many[i] = reach(PORT);
	pid = client(PORT, "-tls1_3");
	check("500 silent clients do not stop the next one ", epoll_wait(e, &event, 1, 20000) == 1 && (c = accept(l, NULL, NULL)) >= 0);
	close(c);
	waitpid(pid, NULL, 0);
	close(l);
	check("a listener that closes takes its handshakes with it ", is_gone(many[499], 3000));
	for (i = 0; i < 500; i++)
		close(many[i]);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IONBF, 0);
	refusals();
	served();
	misbehaved();
	return failed;
}
