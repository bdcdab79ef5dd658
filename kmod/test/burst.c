// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Clients on every CPU whose first record is refused, one after the other: `burst PORT COUNT`. With real-time priority and
 * without a pause, so that no thread of the kernel runs meanwhile; softirqs do, in the system calls that send. Runs in the guest.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "guest.h"

static volatile int *waiting;

static int clients(int port, int count)
{
	static const unsigned char early[10] = { 23, 3, 3, 0, 5, 1, 2, 3, 4, 5 };
	struct sockaddr_in a = address(port);

	for (int i = 0; i < count; i++) {
		int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		if (connect(s, (void *)&a, sizeof(a)) && errno != EINPROGRESS)
			return 1;
		/* On loopback, the connection stands when connect() returns, unless the kernel left its softirqs to a thread. */
		for (int attempt = 0; write(s, early, sizeof(early)) != sizeof(early); attempt++)
			if ((errno != EAGAIN && errno != ENOTCONN) || attempt == 10000000)
				return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct sched_param first = { .sched_priority = 50 };
	int cpus = sysconf(_SC_NPROCESSORS_ONLN), status, result = 0;

	if (argc != 3)
		return 2;
	waiting = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*waiting = cpus;
	for (int cpu = 0; cpu < cpus; cpu++) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		if (fork())
			continue;
		if (sched_setaffinity(0, sizeof(set), &set) || sched_setscheduler(0, SCHED_FIFO, &first))
			_exit(1);
		/* The first CPU's sends; the others' keep threads away from theirs until it is done. */
		__atomic_sub_fetch(waiting, 1, __ATOMIC_SEQ_CST);
		while (*waiting > 0)
			;
		if (cpu == 0) {
			result = clients(atoi(argv[1]), atoi(argv[2]));
			*waiting = -1;
		}
		while (*waiting == 0)
			;
		_exit(result);
	}
	while (wait(&status) > 0)
		result |= status;
	return result != 0;
}
