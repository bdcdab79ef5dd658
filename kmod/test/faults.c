// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Lets allocations fail while the module works. Runs in the guest of the debug kernel; 0 if all is well.
 *
 *	faults load		a sample of the allocations of loading the module fail, one in each load
 *	faults calls		every allocation of every system call that reaches the module fails once
 *	faults softirq		under load, one in ten of the allocations that must not wait fails
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../c/uapi.h"
#include "guest.h"
#include "netlink.h"

#define PORT 8443

/* Writes to a file of the kernel's; while allocations fail, that may take more than one attempt. */
static void set(const char *file, const char *value)
{
	for (int attempt = 0; attempt < 100; attempt++) {
		int f = open(file, O_WRONLY), done = f >= 0 && write(f, value, strlen(value)) > 0;

		close(f);
		if (done)
			return;
	}
	perror(file);
	exit(1);
}

static void set_both(const char *option, const char *value)
{
	char file[128];

	for (int i = 0; i < 2; i++) {
		snprintf(file, sizeof(file), "/sys/kernel/debug/%s/%s", i ? "fail_page_alloc" : "failslab", option);
		set(file, value);
	}
}

/* In how many allocations of this process one fails; 0 if it has, or if none is to. */
static int fail_nth;

static void fail_in(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	if (pwrite(fail_nth, text, len, 0) != len)
		perror("fail-nth");
}

static int fails_in(void)
{
	char text[16] = {};

	pread(fail_nth, text, sizeof(text) - 1, 0);
	return atoi(text);
}

/* Lets the first allocation of an operation fail, then the second, until it has fewer; then it must succeed. */
static void each(const char *what, void (*before)(void), int (*operation)(void))
{
	char sentence[160];
	int n = 0, result, left;

	do {
		before();
		fail_in(++n);
		result = operation();
		left = fails_in();
		fail_in(0);
	} while (!left && n < 5000);
	snprintf(sentence, sizeof(sentence), "%s: each of its %d allocations failed once, then it went well ", what, n - 1);
	check(sentence, left && n > 1 && result == 0);
}

static void begin_configure(void)
{
	static unsigned char chain[4096], key[4096];
	unsigned char secret[64] = { 1 }, suites[] = { 0x13, 1, 0xc0, 0x2b }, groups[] = { 0, 29, 0, 23 };
	unsigned int len = read_file("/tmp/chain.der", chain + 3, sizeof(chain) - 5), flags = TTLS_TLS12 | TTLS_TLS13;
	struct nlattr *nest;

	open_channel();
	chain[1] = len >> 8;
	chain[2] = len;
	begin(TTLS_C_CONFIGURE);
	nest = put(TTLS_A_CERTIFICATE | NLA_F_NESTED, NULL, 0);
	put(TTLS_A_CHAIN, chain, 3 + len + 2);
	put(TTLS_A_KEY, key, read_file("/tmp/key.der", key, sizeof(key)));
	put(TTLS_A_NAMES, "one.example", 12);
	put(TTLS_A_DEFAULT, NULL, 0);
	nest->nla_len = message + message_len - (unsigned char *)nest;
	put(TTLS_A_TICKET_SECRET, secret, sizeof(secret));
	put(TTLS_A_FLAGS, &flags, sizeof(flags));
	put(TTLS_A_SUITES, suites, sizeof(suites));
	put(TTLS_A_GROUPS, groups, sizeof(groups));
}

static void begin_remove(void)
{
	open_channel();
	begin(TTLS_C_REMOVE);
}

static void begin_list(void)
{
	open_channel();
	begin(TTLS_C_LIST);
}

static void begin_statistics(void)
{
	open_channel();
	begin(TTLS_C_STATISTICS);
}

static int listener = -1;

static void begin_attach(void)
{
	close(listener);
	listener = listen_on(PORT);
}

static int attach(void)
{
	return secure(listener);
}

/* A client that connects again and again. */
static pid_t load(const char *options)
{
	pid_t pid = fork();
	char line[256];

	if (pid)
		return pid;
	snprintf(line, sizeof(line), "exec ./ttls-load --name one.example --mode request --timeout 5 %s 127.0.0.1:%d "
		 "> /tmp/bench 2>&1", options, PORT);
	execl("/bin/sh", "sh", "-c", line, NULL);
	_exit(1);
}

static void await_client(void)
{
	struct pollfd p = { listener, POLLIN, 0 };

	if (poll(&p, 1, 20000) != 1)
		fprintf(stderr, "no client comes\n");
}

static int serve(void)
{
	static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
	char b[1024];
	int s = accept(listener, NULL, NULL), n;

	if (s < 0)
		return -errno;
	n = read(s, b, sizeof(b));
	if (n > 0)
		n = write(s, response, sizeof(response) - 1);
	n = n > 0 ? 0 : -errno;
	shutdown(s, SHUT_WR);
	close(s);
	return n;
}

static void unload(void)
{
	/* The last failure may have been one that loading survives. Who looks at it leaves soon. */
	for (int attempt = 0; attempt < 100; attempt++) {
		if (syscall(SYS_delete_module, "ttls", O_NONBLOCK) == 0 || errno == ENOENT)
			return;
		usleep(100000);
	}
	perror("unload");
}

static int load_module(void)
{
	int f = open("ttls.ko", O_RDONLY | O_CLOEXEC), result = syscall(SYS_finit_module, f, "", 0);

	result = result ? -errno : 0;
	close(f);
	return result;
}

/*
 * Allocations of loading fail, one in each load. A load takes a second here, and nearly all of its 1600 allocations may fail
 * without harm, because they are the checkers' own: so this is a sample, evenly spread. Single pages do not fail:
 * each of hundreds would fail the same vmalloc() as its first slab object does.
 */
static void loading(void)
{
	enum { MANY = 1000000, SAMPLES = 200 };
	int total, refused = 0, survived = 0;
	char sentence[160];

	set("/sys/kernel/debug/fail_page_alloc/min-order", "10");
	set("/sys/kernel/debug/failslab/cache-filter", "Y");	/* those that slub_debug names */
	set_both("ignore-gfp-wait", "N");
	fail_in(MANY);
	check("it loads while no allocation fails ", load_module() == 0);
	total = MANY - fails_in();
	for (int i = 0; i < SAMPLES; i++) {
		int result;

		fail_in(0);
		unload();
		fail_in(1 + i * total / SAMPLES);
		result = load_module();
		refused += result == -ENOMEM;
		survived += result == 0;
	}
	fail_in(0);
	unload();
	set_both("ignore-gfp-wait", "Y");
	set("/sys/kernel/debug/failslab/cache-filter", "N");
	snprintf(sentence, sizeof(sentence), "%d of %d allocations of loading failed once: %d loads were refused for lack of "
		 "memory, %d went well ", SAMPLES, total, refused, survived);
	check(sentence, refused > 2 && refused + survived == SAMPLES);
}

static void calls(void)
{
	static const char *const options[] = { "--tls 1.3 --connections 2 --seconds 600", "--tls 1.2 --connections 2 --seconds 600" };

	set_both("ignore-gfp-wait", "N");
	check("the module is there ", find_family() == 0);
	each("removal", begin_remove, command);
	each("configuration", begin_configure, command);
	each("list", begin_list, command);
	each("statistics", begin_statistics, command);
	each("the socket option", begin_attach, attach);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 2; i++) {
		pid_t client = load(options[i]);

		each(i ? "accept, read, write, close in TLS 1.2" : "accept, read, write, close in TLS 1.3", await_client, serve);
		kill(client, SIGKILL);
		waitpid(client, NULL, 0);
	}
	set_both("ignore-gfp-wait", "Y");
}

static void softirq(void)
{
	static const char *const options[] = { "--tls 1.3 --connections 8 --seconds 20", "--tls 1.2 --connections 8 --seconds 20" };
	pid_t server;
	int status;

	begin_attach();
	check("a listening socket takes the option ", secure(listener) == 0);
	server = fork();
	if (!server)
		for (;;)
			serve();
	for (int i = 0; i < 2; i++) {
		pid_t client = load(options[i]);

		sleep(2);
		set_both("probability", "10");
		sleep(12);
		set_both("probability", "0");
		waitpid(client, &status, 0);
		check(i ? "TLS 1.2: the load ends " : "TLS 1.3: the load ends ", WIFEXITED(status));
	}
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IONBF, 0);
	set_both("verbose", "0");
	set_both("interval", "1");
	set_both("times", "-1");
	set_both("task-filter", "N");
	set("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (argc == 2 && !strcmp(argv[1], "load"))
		loading();
	else if (argc == 2 && !strcmp(argv[1], "calls"))
		calls();
	else if (argc == 2 && !strcmp(argv[1], "softirq"))
		softirq();
	else
		return 2;
	return failed;
}
