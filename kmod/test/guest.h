/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the guest's programs share: how they report, and their sockets. Each is one file, so all of it is static. */
#ifndef TTLS_GUEST_H
#define TTLS_GUEST_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOL_TLS 282

static int failed;

static inline void check(const char *sentence, int ok)
{
	printf("%s %s%s\n", ok ? "ok  " : "FAIL", sentence, ok ? "" : strerror(errno));
	failed += !ok;
}

static inline struct sockaddr_in address(int port)
{
	return (struct sockaddr_in) {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static inline int listen_on(int port)
{
	struct sockaddr_in a = address(port);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, (void *)&a, sizeof(a)) || listen(s, 1024)) {
		perror("listen");
		exit(1);
	}
	return s;
}

static inline int secure(int s)
{
	return setsockopt(s, SOL_TCP, TCP_ULP, "ttls", 4);
}

static inline int reach(int port)
{
	struct sockaddr_in a = address(port);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(s, (void *)&a, sizeof(a))) {
		perror("connect");
		exit(1);
	}
	return s;
}

/* openssl s_client with an argument, sending a line; its output goes to /tmp/client. */
static inline pid_t client(int port, const char *option)
{
	pid_t pid = fork();
	char command[512];

	if (pid)
		return pid;
	setpgid(0, 0);
	snprintf(command, sizeof(command),
		 "{ echo hello; sleep 1; } | timeout 120 openssl s_client -connect 127.0.0.1:%d -CAfile /test/ca.pem -quiet %s "
		 "> /tmp/client 2>&1", port, option);
	execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(1);
}

#endif
