// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Loads a configuration of many large keys in one message: `keys CHAIN KEY COUNT`, in DER. A thread with real-time priority sleeps
 * and wakes on the same CPU meanwhile: between one key and the next it is let in. Runs in the guest; 0 if all is well.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include "netlink.h"

static void begin_keys(const char *chain_file, const char *key_file, int count)
{
	static unsigned char chain[4096], key[4096];
	unsigned int len = read_file(chain_file, chain + 3, sizeof(chain) - 5), key_len = read_file(key_file, key, sizeof(key));
	unsigned int flags = TTLS_TLS13;

	chain[1] = len >> 8;
	chain[2] = len;
	open_channel();
	begin(TTLS_C_CONFIGURE);
	for (int i = 0; i < count; i++) {
		struct nlattr *nest = put(TTLS_A_CERTIFICATE | NLA_F_NESTED, NULL, 0);

		put(TTLS_A_CHAIN, chain, 3 + len + 2);
		put(TTLS_A_KEY, key, key_len);
		put(TTLS_A_NAMES, "one.example", 12);
		nest->nla_len = message + message_len - (unsigned char *)nest;
	}
	put(TTLS_A_FLAGS, &flags, sizeof(flags));
}

static long preempted(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return use.ru_nivcsw;
}

int main(int argc, char **argv)
{
	const struct sched_param first = { .sched_priority = 50 };
	const struct timespec nap = { 0, 500000 };
	int count = argc == 4 ? atoi(argv[3]) : 0, result;
	char sentence[160];
	cpu_set_t cpu;
	pid_t pid;
	long before;

	if (count < 1 || count > 64)
		return 2;
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	check("the module is there ", find_family() == 0);
	begin_keys(argv[1], argv[2], count);
	pid = fork();
	if (!pid) {
		while (!sched_setscheduler(0, SCHED_FIFO, &first))
			nanosleep(&nap, NULL);
		_exit(1);
	}
	usleep(10000);
	before = preempted();
	result = command();
	snprintf(sentence, sizeof(sentence), "while %d keys were loaded, others ran %ld times ", count, preempted() - before);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	check("the configuration is accepted ", result == 0);
	check(sentence, preempted() - before >= count);
	return failed;
}
