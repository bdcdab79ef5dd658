// SPDX-License-Identifier: MIT OR Apache-2.0
/* Calls that TCP takes, on connections that the module accepts. Runs in the guest; 0 if all is well. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "guest.h"

#define PORT 8448

static int readable(int s, int ms)
{
	struct pollfd p = { s, POLLIN, 0 };

	return poll(&p, 1, ms) == 1 && p.revents & POLLIN;
}

static int waiting(int s)
{
	int n = -1;

	ioctl(s, FIONREAD, &n);
	return n;
}

static int comes(int s, int n)
{
	for (int i = 0; i < 600 && waiting(s) != n; i++)
		usleep(50000);
	return waiting(s) == n;
}

static int set(int s, int level, int name, int value)
{
	return setsockopt(s, level, name, &value, sizeof(value));
}

/* A client whose every write is a record. Its output goes to /tmp/client.N. */
struct talker {
	pid_t pid;
	int in, number;
};

static struct talker talk(int port)
{
	static int number;
	struct talker t = { .number = __sync_fetch_and_add(&number, 1) };
	char command[256];
	int ends[2];

	pipe2(ends, O_CLOEXEC);
	t.in = ends[1];
	t.pid = fork();
	if (t.pid) {
		close(ends[0]);
		return t;
	}
	dup2(ends[0], 0);
	snprintf(command, sizeof(command),
		 "exec timeout 100 openssl s_client -connect 127.0.0.1:%d -quiet > /tmp/client.%d 2> /dev/null", port, t.number);
	execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(1);
}

static void hang_up(struct talker t)
{
	close(t.in);
	waitpid(t.pid, NULL, 0);
}

/* The client goes first, once it has written that much: s_client alone would wait for the server's end. */
static void leave(struct talker t, long written)
{
	char path[64];
	struct stat file = {};

	snprintf(path, sizeof(path), "/tmp/client.%d", t.number);
	for (int i = 0; i < 400 && (stat(path, &file) || file.st_size < written); i++)
		usleep(50000);
	kill(t.pid, SIGTERM);
	hang_up(t);
}

static void pieces(int l)
{
	struct talker t = talk(PORT);
	char b[500];
	int s = accept(l, NULL, NULL), value = 0;
	socklen_t len = sizeof(value);
	struct iovec v = { b, sizeof(b) };
	char control[CMSG_SPACE(sizeof(int))];
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c;

	memset(b, 'x', sizeof(b));
	check("SO_RCVLOWAT is taken ", set(s, SOL_SOCKET, SO_RCVLOWAT, 100) == 0);
	write(t.in, b, 60);
	check("60 bytes come ", comes(s, 60));
	check("they are too few for poll() ", !readable(s, 200));
	check("a read that may not wait gives them ", recv(s, b, 10, MSG_DONTWAIT) == 10);
	write(t.in, b, 45);
	check("45 more are still too few ", comes(s, 95) && !readable(s, 100));
	write(t.in, b, 5);
	check("5 more are enough ", readable(s, 20000) && waiting(s) == 100);
	check("part of them is read ", read(s, b, 30) == 30 && !readable(s, 100));
	check("less is asked for: poll() says so ", set(s, SOL_SOCKET, SO_RCVLOWAT, 70) == 0 && readable(s, 0));
	check("a read that may wait does not, for these ", read(s, b, sizeof(b)) == 70);
	set(s, SOL_SOCKET, SO_RCVLOWAT, 100);
	write(t.in, b, 60);
	comes(s, 60);
	if (!fork()) {
		sleep(1);
		write(t.in, b, 60);
		_exit(0);
	}
	check("it waits for all that was asked for ", read(s, b, sizeof(b)) == 120);
	wait(&value);
	set(s, SOL_SOCKET, SO_RCVLOWAT, 1);

	check("TCP_INQ is taken ", set(s, SOL_TCP, TCP_INQ, 1) == 0);
	write(t.in, b, 70);
	comes(s, 70);
	v.iov_len = 50;
	check("50 of 70 are read ", recvmsg(s, &m, 0) == 50);
	c = CMSG_FIRSTHDR(&m);
	check("and the rest is told ", c && c->cmsg_level == SOL_TCP && c->cmsg_type == TCP_CM_INQ &&
	      *(int *)CMSG_DATA(c) == 20);
	check("with no other flag than TCP's ", (m.msg_flags & ~MSG_CMSG_CLOEXEC) == 0);
	check("TCP_ZEROCOPY_RECEIVE is refused ",
	      getsockopt(s, SOL_TCP, TCP_ZEROCOPY_RECEIVE, b, &len) && errno == EOPNOTSUPP);
	check("an urgent byte there is none ", recv(s, b, 1, MSG_OOB) < 0 && errno == EINVAL);
	leave(t, 0);
	check("the rest, then the end ", recv(s, b, sizeof(b), MSG_WAITALL) == 20 && read(s, b, sizeof(b)) == 0);
	close(s);
}

/* What the client received, as a text. */
static int received(struct talker t, const char *text)
{
	static char b[4096], path[64];
	int f, n;

	snprintf(path, sizeof(path), "/tmp/client.%d", t.number);
	f = open(path, O_RDONLY);
	n = read(f, b, sizeof(b) - 1);
	close(f);
	b[n > 0 ? n : 0] = 0;
	if (strcmp(b, text))
		printf("     received: %s\n", b);
	return !strcmp(b, text);
}

static volatile int pipes;

static void count_pipe(int signal)
{
	pipes += signal == SIGPIPE;
}

static void flags(int l)
{
	struct talker t = talk(PORT);
	int s = accept(l, NULL, NULL);
	char control[200], b[16];
	struct msghdr m = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	struct sock_extended_err *e;
	struct pollfd p = { s, 0, 0 };

	check("MSG_WAITALL is taken ", send(s, "one ", 4, MSG_WAITALL) == 4);
	check("MSG_EOR ", send(s, "two ", 4, MSG_EOR) == 4);
	check("MSG_EOR with MSG_MORE ", send(s, "three ", 6, MSG_EOR | MSG_MORE) == 6);
	check("MSG_CONFIRM and MSG_DONTROUTE ", send(s, "four ", 5, MSG_CONFIRM | MSG_DONTROUTE) == 5);
	check("MSG_ZEROCOPY that was not asked for ", send(s, "five ", 5, MSG_ZEROCOPY) == 5);
	check("urgent data is refused ", send(s, "x", 1, MSG_OOB) < 0 && errno == EOPNOTSUPP);
	check("SO_ZEROCOPY ", set(s, SOL_SOCKET, SO_ZEROCOPY, 1) == 0);
	check("MSG_ZEROCOPY, twice ", send(s, "six ", 4, MSG_ZEROCOPY) == 4 && send(s, "seven ", 6, MSG_ZEROCOPY) == 6);
	check("and it tells when it is done ", poll(&p, 1, 20000) == 1 && p.revents & POLLERR);
	check("on the error queue ", recvmsg(s, &m, MSG_ERRQUEUE) == 0);
	c = CMSG_FIRSTHDR(&m);
	e = c ? (void *)CMSG_DATA(c) : NULL;
	check("of both ", e && e->ee_errno == 0 && e->ee_origin == SO_EE_ORIGIN_ZEROCOPY && e->ee_info == 0 && e->ee_data == 1);
	check("as of copies ", e && e->ee_code == SO_EE_CODE_ZEROCOPY_COPIED);
	check("once ", recvmsg(s, &m, MSG_ERRQUEUE) < 0 && errno == EAGAIN);
	shutdown(s, SHUT_WR);
	signal(SIGPIPE, count_pipe);
	check("a send after shutdown() raises SIGPIPE ", send(s, "x", 1, 0) < 0 && errno == EPIPE && pipes == 1);
	check("unless it is not to ", send(s, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE && pipes == 1);
	signal(SIGPIPE, SIG_IGN);
	hang_up(t);
	check("the client is gone ", read(s, b, sizeof(b)) == 0);
	close(s);
	check("and got all ", received(t, "one two three four five six seven "));
}

/* One entry through a ring of its own: results of it in order, at most two. -1 where there is no io_uring. */
static int through_ring(struct io_uring_sqe entry, int *results)
{
	struct io_uring_params p = {};
	int ring = syscall(__NR_io_uring_setup, 4, &p), n = 0;
	unsigned char *sq, *cq;
	struct io_uring_sqe *entries;
	unsigned int *head, *tail, mask;

	if (ring < 0)
		return -1;
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		  IORING_OFF_CQ_RING);
	entries = mmap(NULL, p.sq_entries * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	entries[0] = entry;
	((unsigned int *)(sq + p.sq_off.array))[0] = 0;
	__atomic_store_n((unsigned int *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	syscall(__NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	head = (void *)(cq + p.cq_off.head);
	tail = (void *)(cq + p.cq_off.tail);
	mask = *(unsigned int *)(cq + p.cq_off.ring_mask);
	while (n < 2) {
		struct io_uring_cqe *c = (struct io_uring_cqe *)(cq + p.cq_off.cqes) + (*head & mask);

		if (*head == __atomic_load_n(tail, __ATOMIC_ACQUIRE)) {
			if (syscall(__NR_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
				break;
			continue;
		}
		results[n++] = c->res;
		*head += 1;
		if (!(c->flags & IORING_CQE_F_MORE))
			break;
	}
	close(ring);
	return n;
}

static void ring(int l)
{
	struct talker t = talk(PORT);
	int s = accept(l, NULL, NULL), results[2] = {}, n;
	char b[64];
	struct io_uring_sqe e = { .opcode = IORING_OP_SEND, .fd = s, .addr = (unsigned long)"send ", .len = 5 };

	n = through_ring(e, results);
	if (n < 0) {
		puts("     no io_uring here");
		hang_up(t);
		close(s);
		return;
	}
	check("io_uring sends ", n == 1 && results[0] == 5);
	e.opcode = IORING_OP_SEND_ZC;
	e.addr = (unsigned long)"zero-copy ";
	e.len = 10;
	n = through_ring(e, results);
	check("SEND_ZC: sent, and told that it is done ", n == 2 && results[0] == 10);
	e.opcode = IORING_OP_RECV;
	e.addr = (unsigned long)b;
	e.len = sizeof(b);
	write(t.in, "hello", 5);
	n = through_ring(e, results);
	check("io_uring receives, waiting ", n == 1 && results[0] == 5 && !memcmp(b, "hello", 5));
	leave(t, strlen("send zero-copy "));
	n = through_ring(e, results);
	check("and the end ", n == 1 && results[0] == 0);
	close(s);
	check("the client got all ", received(t, "send zero-copy "));
}

static void listener_low_water(int l)
{
	struct talker t;
	int s = -1;

	check("SO_RCVLOWAT on the listener ", set(l, SOL_SOCKET, SO_RCVLOWAT, 20000) == 0);
	t = talk(PORT);
	check("handshakes go on ", readable(l, 30000) && (s = accept(l, NULL, NULL)) >= 0);
	write(t.in, "hello", 5);
	check("the connection has it, for data ", comes(s, 5) && !readable(s, 200));
	leave(t, 0);
	check("the end of the file is enough ", readable(s, 20000));
	close(s);
	set(l, SOL_SOCKET, SO_RCVLOWAT, 1);
}

/*
 * Threads that sleep in accept() while the listener gets its option, and what they do as soon as they have a
 * connection, two at a time: never is there ciphertext to read, nor is plain text sent.
 */
static int plain, secured;

static void *answer(void *s)
{
	for (int i = 0; i < 5; i++)
		send((long)s, "answer ", 7, MSG_NOSIGNAL);
	return NULL;
}

static void *sleeper(void *l)
{
	int ends[2], s = accept((long)l, NULL, NULL), n;
	pthread_t second;
	char b[64];

	if (s < 0)
		return NULL;
	pipe(ends);
	pthread_create(&second, NULL, answer, (void *)(long)s);
	if (s % 2)
		n = read(s, b, sizeof(b));
	else
		n = splice(s, NULL, ends[1], NULL, sizeof(b), 0) > 0 ? read(ends[0], b, sizeof(b)) : -1;
	pthread_join(second, NULL);
	if (n > 0)
		__sync_fetch_and_add(n == 5 && !memcmp(b, "hello", 5) ? &secured : &plain, 1);
	close(s);
	close(ends[0]);
	close(ends[1]);
	return NULL;
}

static void sleepers(void)
{
	enum { THREADS = 4, ROUNDS = 6 };
	pthread_t threads[THREADS];
	struct talker t[THREADS];
	int answered = 0;

	for (int round = 0; round < ROUNDS; round++) {
		int l = listen_on(PORT + 1);

		for (int i = 0; i < THREADS; i++)
			pthread_create(&threads[i], NULL, sleeper, (void *)(long)l);
		usleep(200000);
		if (secure(l))
			check("the option is taken while threads sleep ", 0);
		for (int i = 0; i < THREADS; i++) {
			t[i] = talk(PORT + 1);
			write(t[i].in, "hello", 5);
		}
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		for (int i = 0; i < THREADS; i++) {
			hang_up(t[i]);
			answered += received(t[i], "answer answer answer answer answer ");
		}
		close(l);
	}
	check("threads that slept in accept() have secure connections ", secured == ROUNDS * THREADS);
	check("and no others ", plain == 0);
	check("what two threads write at once arrives ", answered == ROUNDS * THREADS);
}

int main(void)
{
	int l = listen_on(PORT);

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IONBF, 0);
	check("a listening socket takes the option ", secure(l) == 0);
	pieces(l);
	flags(l);
	ring(l);
	listener_low_water(l);
	close(l);
	sleepers();
	return failed;
}
