// SPDX-License-Identifier: MIT OR Apache-2.0
/* The plain server of the comparison: accept, read, write, close. `server PORT` */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY 1024

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0) };
	int l = socket(AF_INET, SOCK_STREAM, 0), one = 1, head;
	char response[256 + BODY], request[4096];

	signal(SIGPIPE, SIG_IGN);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(l, (void *)&a, sizeof(a)) || listen(l, 4096)) {
		perror("server");
		return 1;
	}
	head = sprintf(response, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", BODY);
	memset(response + head, 'x', BODY);
	for (;;) {
		int s = accept(l, NULL, NULL);

		if (s < 0)
			continue;
		if (read(s, request, sizeof(request)) > 0 && write(s, response, head + BODY) < 0)
			perror("server");
		close(s);
	}
}
