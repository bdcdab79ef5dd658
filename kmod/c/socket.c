// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * An accepted connection: the kernel's TLS records (kTLS) below, and above it what a program expects of a plain
 * socket. close_notify reads as end of file, an alert as ECONNRESET, close() and shutdown() send close_notify,
 * and records are cut to what TCP can send now.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <net/tls.h>
#include "ttls.h"

#define WARNING		1
#define FATAL		2
#define CLOSE_NOTIFY	0
/* Header, nonce or inner type, and tag. */
#define OVERHEAD	29

/* TCP's operations, kTLS's, and our copies of those. */
static struct proto *tcp_base[2];
static const struct proto *tls_prot[2];
static struct proto socket_prot[2];
static const struct proto_ops *tls_ops[2];
static struct proto_ops socket_ops[2];
static const struct tcp_ulp_ops *tls_ulp_ops;
static struct tcp_ulp_ops socket_ulp_ops;
static DEFINE_MUTEX(wrap_lock);

static struct ttls_socket *socket_of(const struct sock *sk)
{
	return (void *)sk->sk_user_data;
}

static bool is_open(const struct sock *sk)
{
	return (1 << sk->sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT);
}

/* A record that is not data, after all that was written; flags as of sendmsg(). socket->sending is held. */
int ttls_send_record(struct sock *sk, u8 type, const void *content, size_t len, unsigned int flags)
{
	struct kvec vec = { (void *)content, len };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(1)];
	} control = {
		.header = { .cmsg_len = CMSG_LEN(1), .cmsg_level = SOL_TLS, .cmsg_type = TLS_SET_RECORD_TYPE },
	};
	struct msghdr msg = { .msg_flags = flags, .msg_control = &control, .msg_controllen = sizeof(control) };
	int sent;

	*(u8 *)CMSG_DATA(&control.header) = type;
	iov_iter_kvec(&msg.msg_iter, 1 /* WRITE, ITER_SOURCE */, &vec, 1, len);
	sent = tls_prot[TTLS_FAMILY_OF(sk)]->sendmsg(sk, &msg, len);
	return sent < 0 ? sent : 0;
}

/* Once, and only while the connection stands. socket->sending is held, the socket's lock is not. */
static void last_alert(struct sock *sk, struct ttls_socket *socket, u8 level, u8 description)
{
	const u8 alert[2] = { level, description };

	if (is_open(sk) && !test_and_set_bit(TTLS_CLOSE_SENT, &socket->flags))
		ttls_send_record(sk, TTLS_ALERT, alert, sizeof(alert), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void close_notify(struct sock *sk)
{
	struct ttls_socket *socket = socket_of(sk);

	if (!socket || mutex_lock_interruptible(&socket->sending))
		return;
	last_alert(sk, socket, WARNING, CLOSE_NOTIFY);
	mutex_unlock(&socket->sending);
}

/* Nothing that the peer sends counts any more. */
static void end_reading(struct ttls_socket *socket, bool reset)
{
	if (reset)
		set_bit(TTLS_RESET_DUE, &socket->flags);
	smp_mb__before_atomic();	/* who sees the end sees why */
	set_bit(TTLS_EOF_READ, &socket->flags);
}

/* The end, because of what the peer sent. A reader does not wait for a writer: rather no alert. */
static void refuse(struct sock *sk, struct ttls_socket *socket, u8 level, u8 description)
{
	if (mutex_trylock(&socket->sending)) {
		last_alert(sk, socket, level, description);
		mutex_unlock(&socket->sending);
	}
	end_reading(socket, true);
}

static int tls_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
	const struct proto *tls = tls_prot[TTLS_FAMILY_OF(sk)];
#ifdef HAVE_RECVMSG_ADDR_LEN
	int addr_len;

	return tls->recvmsg(sk, msg, len, flags, &addr_len);
#else
	return tls->recvmsg(sk, msg, len, flags);
#endif
}

/* What is at the head of the queue, and its type; at most len bytes of one record or more. */
static int receive_typed(struct sock *sk, u8 *type, u8 *content, size_t len, int flags)
{
	struct kvec vec = { content, len };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(1)];
	} control = {};
	struct msghdr msg = { .msg_control = &control, .msg_controllen = sizeof(control), .msg_flags = MSG_DONTWAIT };
	int n;

	iov_iter_kvec(&msg.msg_iter, 0 /* READ, ITER_DEST */, &vec, 1, len);
	n = tls_recvmsg(sk, &msg, len, flags | MSG_DONTWAIT);
	if (n < 0)
		return n;
	if (control.header.cmsg_level != SOL_TLS)
		return -EAGAIN;
	*type = *(u8 *)CMSG_DATA(&control.header);
	return n;
}

static void handshake_record(struct sock *sk, struct ttls_socket *socket, const u8 *content, size_t len)
{
	int alert;

	if (!ttls_key_update_possible(socket)) {
		/* New keys, which kTLS here can not take, or a renegotiation. */
		refuse(sk, socket, WARNING, CLOSE_NOTIFY);
		return;
	}
	alert = ttls_key_update_received(sk, socket, content, len);
	if (alert)
		refuse(sk, socket, FATAL, alert);
}

static int take_control_record(struct sock *sk, struct ttls_socket *socket)
{
	u8 content[256], type;
	/* Data is left where it is. What is not stays at the head until it is taken here. */
	int n = receive_typed(sk, &type, content, 1, MSG_PEEK);

	if (n < 0)
		return n;
	if (type == TTLS_DATA)
		return -EAGAIN;
	n = receive_typed(sk, &type, content, sizeof(content), 0);
	if (n < 0)
		return n;
	if (type == TTLS_HANDSHAKE)
		handshake_record(sk, socket, content, n);
	else
		end_reading(socket, type != TTLS_ALERT || n < 2 || content[1] != CLOSE_NOTIFY);
	return 0;
}

/* Deals with a record at the head of the queue that is not data; 0 if so. -EAGAIN: there is none. */
static int control_record(struct sock *sk, struct ttls_socket *socket)
{
	int err;

	/* Two readers may have met the same record. */
	if (wait_on_bit_lock(&socket->flags, TTLS_RECEIVING_BIT, TASK_INTERRUPTIBLE))
		return -ERESTARTSYS;
	err = take_control_record(sk, socket);
	clear_and_wake_up_bit(TTLS_RECEIVING_BIT, &socket->flags);
	return err;
}

/* What kTLS says where the next record is not data, or waits for new keys. */
static bool is_control(ssize_t n, int told)
{
	return n == told || n == -EKEYEXPIRED;
}

static bool is_over(const struct ttls_socket *socket)
{
	return test_bit(TTLS_EOF_READ, &socket->flags);
}

/* The result of a read where it is over: once the reason, then end of file. */
static int last_result(struct ttls_socket *socket)
{
	return test_and_clear_bit(TTLS_RESET_DUE, &socket->flags) ? -ECONNRESET : 0;
}

static int receive_plain(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
	size_t room = msg->msg_controllen;
	int n;

	/* Of records' types a program is to know nothing. */
	msg->msg_controllen = 0;
	n = tls_recvmsg(sk, msg, len, flags);
	msg->msg_controllen = room;
	msg->msg_flags &= ~MSG_CTRUNC;
	return n;
}

/* Data was read. A KeyUpdate that came behind it is followed now: its answer does not wait for the next read. */
static bool follow(struct sock *sk, struct ttls_socket *socket)
{
	if (!ttls_key_update_pending(sk) || control_record(sk, socket))
		return false;
	if (is_over(socket))
		sk_error_report(sk);
	return true;
}

static int receive(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
	struct ttls_socket *socket = socket_of(sk);
	int done = 0, n;

	if (flags & MSG_ERRQUEUE)
		return tls_recvmsg(sk, msg, len, flags);
	while (!is_over(socket)) {
		n = receive_plain(sk, msg, len - done, flags);
		if (is_control(n, -EIO)) {
			n = control_record(sk, socket);
			if (!n || n == -EAGAIN)
				continue;
		}
		if (n <= 0)
			return done ? done : n;
		done += n;
		if (flags & MSG_PEEK || !follow(sk, socket) || done == len || !(flags & MSG_WAITALL))
			return done;
	}
	return done ? done : last_result(socket);
}

#ifdef HAVE_RECVMSG_ADDR_LEN
static int socket_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)
{
	return receive(sk, msg, len, flags);
}
#else
static int socket_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
	return receive(sk, msg, len, flags);
}
#endif

static ssize_t socket_splice_read(struct socket *sock, loff_t *pos, struct pipe_inode_info *pipe, size_t len,
				  unsigned int flags)
{
	struct sock *sk = sock->sk;
	struct ttls_socket *socket = socket_of(sk);
	ssize_t n;
	int err;

	while (!is_over(socket)) {
		n = tls_ops[TTLS_FAMILY_OF(sk)]->splice_read(sock, pos, pipe, len, flags);
		if (is_control(n, -EINVAL)) {
			err = control_record(sk, socket);
			if (!err)
				continue;
			/* There is none: kTLS meant another thing. */
			return err == -EAGAIN ? n : err;
		}
		return n;
	}
	return last_result(socket);
}

/* kTLS says nothing of data before a KeyUpdate that was looked at, and knows no end before FIN. */
static __poll_t socket_poll(struct file *file, struct socket *sock, struct poll_table_struct *wait)
{
	struct sock *sk = sock->sk;
	__poll_t mask = tls_ops[TTLS_FAMILY_OF(sk)]->poll(file, sock, wait);

	if (is_over(socket_of(sk)) || ttls_key_update_pending(sk))
		mask |= EPOLLIN | EPOLLRDNORM;
	return mask;
}

/*
 * Plaintext for the next record: min((cwnd - in flight) * mss, the peer's window) less what is queued already,
 * at least a segment, at most the peer's limit. A record that TCP can not send whole makes the peer wait.
 * The fields are read without the lock: this is a matter of speed only.
 */
static size_t record_size(struct sock *sk, size_t limit)
{
	struct tcp_sock *tp = tcp_sk(sk);
	u32 mss = READ_ONCE(tp->mss_cache), cwnd = tcp_snd_cwnd(tp), flying = tcp_packets_in_flight(tp);
	u32 queued = READ_ONCE(tp->write_seq) - READ_ONCE(tp->snd_nxt);
	u64 room = (u64)(cwnd > flying ? cwnd - flying : 0) * mss;
	s32 window = tcp_wnd_end(tp) - READ_ONCE(tp->snd_nxt);

	room = min_t(u64, room, max(window, 0));
	room = room > queued + OVERHEAD ? room - queued - OVERHEAD : 0;
	return min_t(u64, limit, max_t(u64, room, max_t(u32, mss, 64) - OVERHEAD));
}

/* One record, behind a KeyUpdate if one is due. */
static int send_one(struct sock *sk, struct ttls_socket *socket, struct msghdr *msg, size_t len)
{
	int n = mutex_lock_interruptible(&socket->sending);

	if (n)
		return n;
	if (test_bit(TTLS_CLOSE_SENT, &socket->flags))
		n = -EPIPE;
	else
		n = ttls_key_update_due(sk, socket, msg->msg_flags);
	if (!n)
		n = tls_prot[TTLS_FAMILY_OF(sk)]->sendmsg(sk, msg, len);
	mutex_unlock(&socket->sending);
	return n;
}

static int socket_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)
{
	struct ttls_socket *socket = socket_of(sk);
	size_t left = iov_iter_count(&msg->msg_iter), limit = socket->info.record_limit;
	unsigned int flags = msg->msg_flags;
	int sent = 0, n;

	if (msg->msg_controllen)
		return send_one(sk, socket, msg, len);
	do {
		size_t size = min(left, record_size(sk, limit));

		/* A record left open would grow past the limit. */
		if (size < left || limit < TLS_MAX_PAYLOAD_SIZE)
			msg->msg_flags = flags & ~MSG_MORE;
		else
			msg->msg_flags = flags;
		iov_iter_truncate(&msg->msg_iter, size);
		n = send_one(sk, socket, msg, size);
		iov_iter_reexpand(&msg->msg_iter, left - max(n, 0));
		if (n <= 0)
			break;
		left -= n;
		sent += n;
	} while (left);
	msg->msg_flags = flags;
	return sent ? sent : n;
}

#ifdef HAVE_SENDPAGE
static int socket_sendpage(struct sock *sk, struct page *page, int offset, size_t size, int flags)
{
	struct ttls_socket *socket = socket_of(sk);
	size_t limit = socket->info.record_limit;

	if (test_bit(TTLS_CLOSE_SENT, &socket->flags))
		return -EPIPE;
	if (limit < TLS_MAX_PAYLOAD_SIZE) {
		size = min(size, limit);
		flags &= ~(MSG_MORE | MSG_SENDPAGE_NOTLAST);
	}
	return tls_prot[TTLS_FAMILY_OF(sk)]->sendpage(sk, page, offset, size, flags);
}
#endif

static int get_info(struct sock *sk, char __user *value, int __user *len)
{
	struct ttls_info *info = &socket_of(sk)->info;
	int size;

	if (get_user(size, len))
		return -EFAULT;
	if (size < 0)
		return -EINVAL;
	size = min_t(int, size, sizeof(*info));
	if (put_user(size, len) || copy_to_user(value, info, size))
		return -EFAULT;
	return 0;
}

static int socket_getsockopt(struct sock *sk, int level, int name, char __user *value, int __user *len)
{
	if (level == SOL_TLS && name == TTLS_INFO)
		return get_info(sk, value, len);
	if (level == SOL_TLS)
		return -ENOPROTOOPT;	/* kTLS would give the keys away */
	return tls_prot[TTLS_FAMILY_OF(sk)]->getsockopt(sk, level, name, value, len);
}

static int socket_setsockopt(struct sock *sk, int level, int name, sockptr_t value, unsigned int len)
{
	if (level == SOL_TLS)
		return -ENOPROTOOPT;
	return tls_prot[TTLS_FAMILY_OF(sk)]->setsockopt(sk, level, name, value, len);
}

static void socket_close(struct sock *sk, long timeout)
{
	close_notify(sk);
	tls_prot[TTLS_FAMILY_OF(sk)]->close(sk, timeout);
}

static int socket_shutdown(struct socket *sock, int how)
{
	if (how == SHUT_WR || how == SHUT_RDWR)
		close_notify(sock->sk);
	return tls_ops[TTLS_FAMILY_OF(sock->sk)]->shutdown(sock, how);
}

static void socket_release(struct sock *sk)
{
	struct ttls_socket *socket = socket_of(sk);

	sk->sk_user_data = NULL;
	ttls_count(socket->space, TTLS_N_CONNECTIONS, -1);
	ttls_space_put(socket->space);
	kfree_sensitive(socket);
	if (tls_ulp_ops->release)
		tls_ulp_ops->release(sk);
	module_put(tls_ulp_ops->owner);
}

/* Puts our operations over kTLS's. The socket's lock is held. */
static int wrap(struct socket *sock, struct ttls_socket *socket)
{
	struct sock *sk = sock->sk;
	struct inet_connection_sock *icsk = inet_csk(sk);
	int family = TTLS_FAMILY_OF(sk);
	bool same;

	mutex_lock(&wrap_lock);
	if (!tls_ulp_ops) {
		socket_ulp_ops = *icsk->icsk_ulp_ops;
		socket_ulp_ops.owner = THIS_MODULE;
		socket_ulp_ops.release = socket_release;
		/* What is remembered here must stay where it is. */
		__module_get(icsk->icsk_ulp_ops->owner);
		WRITE_ONCE(tls_ulp_ops, icsk->icsk_ulp_ops);
	}
	if (!tls_prot[family]) {
		socket_prot[family] = *sk->sk_prot;
		socket_prot[family].recvmsg = socket_recvmsg;
		socket_prot[family].sendmsg = socket_sendmsg;
#ifdef HAVE_SENDPAGE
		socket_prot[family].sendpage = socket_sendpage;
#endif
		socket_prot[family].getsockopt = socket_getsockopt;
		socket_prot[family].setsockopt = socket_setsockopt;
		socket_prot[family].close = socket_close;
		socket_ops[family] = *sock->ops;
		socket_ops[family].owner = THIS_MODULE;
		socket_ops[family].shutdown = socket_shutdown;
		socket_ops[family].splice_read = socket_splice_read;
		socket_ops[family].poll = socket_poll;
		tls_ops[family] = sock->ops;
		tls_prot[family] = sk->sk_prot;
	}
	same = tls_prot[family] == sk->sk_prot && tls_ops[family] == sock->ops && tls_ulp_ops == icsk->icsk_ulp_ops;
	mutex_unlock(&wrap_lock);
	/* A network card that takes the records over has operations of its own. */
	if (!same || sk->sk_user_data)
		return -EOPNOTSUPP;
	sk->sk_user_data = socket;
	icsk->icsk_ulp_ops = &socket_ulp_ops;
	WRITE_ONCE(sk->sk_prot, &socket_prot[family]);
	WRITE_ONCE(sock->ops, &socket_ops[family]);
	return 0;
}

/*
 * kTLS checks that a connection is established. It serves one that the peer has half-closed as well, so the state
 * is another for that check alone, under the socket's lock. Needs kTLS's operations, from any connection before.
 */
static int begin_half_closed(struct sock *sk)
{
	const struct tcp_ulp_ops *ops = READ_ONCE(tls_ulp_ops);
	int err = -ENOTCONN;

	lock_sock(sk);
	if (sk->sk_state == TCP_CLOSE_WAIT && ops && try_module_get(ops->owner)) {
		sk->sk_state = TCP_ESTABLISHED;
		err = ops->init(sk);
		sk->sk_state = TCP_CLOSE_WAIT;
		if (err)
			module_put(ops->owner);
		else
			inet_csk(sk)->icsk_ulp_ops = ops;
	}
	release_sock(sk);
	return err;
}

static int hand_over(struct socket *sock, struct ttls_child *child)
{
	const struct ttls_established *established = &child->established;
	u16 version = established->info.version;
	struct sock *sk = sock->sk;
	struct ttls_socket *socket;
	int err;

	/* First, so that lack of memory leaves no receiving kTLS behind. */
	socket = kzalloc(sizeof(*socket), GFP_KERNEL_ACCOUNT);
	if (!socket)
		return -ENOMEM;
	socket->info = established->info;
	mutex_init(&socket->sending);
#ifdef HAVE_REKEY
	memcpy(socket->receive_secret, established->receive.secret, TTLS_SECRET);
	memcpy(socket->send_secret, established->send.secret, TTLS_SECRET);
#endif
	err = sk->sk_prot->setsockopt(sk, SOL_TCP, TCP_ULP, KERNEL_SOCKPTR("tls"), 4);
	if (err == -ENOTCONN)
		err = begin_half_closed(sk);
	if (!err && !READ_ONCE(tls_ulp_ops))
		ttls_keys_hush(inet_csk(sk)->icsk_ulp_ops->owner);
	if (!err)
		err = ttls_keys_install(sk, TLS_TX, version, &established->send);
	if (!err)
		err = ttls_keys_install(sk, TLS_RX, version, &established->receive);
	if (err) {
		/* Ciphertext must not be read as what the client said. */
		lock_sock(sk);
		tcp_base[TTLS_FAMILY_OF(sk)]->disconnect(sk, 0);
		release_sock(sk);
		kfree_sensitive(socket);
		return err;
	}
	kref_get(&child->space->ref);
	socket->space = child->space;
	lock_sock(sk);
	err = wrap(sock, socket);
	release_sock(sk);
	if (err) {
		/* The receive queue is kTLS's now: it stays. */
		tcp_abort(sk, ECONNABORTED);
		ttls_space_put(socket->space);
		kfree_sensitive(socket);
		return err;
	}
	ttls_count(socket->space, TTLS_N_CONNECTIONS, 1);
	ttls_count(socket->space, TTLS_N_ACCEPTED, 1);
	return 0;
}

/*
 * An accept() that slept while the option was set returns by the kernel's own code, without our hand-over. So a
 * connection in the accept queue has operations that make up for it at the first read or write: no byte passes
 * in plain text.
 */
static struct proto guard_prot[2];

static int guard_take(struct sock *sk)
{
	return sk->sk_socket ? ttls_socket_take(sk->sk_socket) : -ENOTCONN;
}

#ifdef HAVE_RECVMSG_ADDR_LEN
static int guard_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)
#else
static int guard_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags)
#endif
{
	int err = guard_take(sk);

	return err ? err : receive(sk, msg, len, flags);
}

static int guard_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)
{
	int err = guard_take(sk);

	return err ? err : READ_ONCE(sk->sk_prot)->sendmsg(sk, msg, len);
}

#ifdef HAVE_SENDPAGE
static int guard_sendpage(struct sock *sk, struct page *page, int offset, size_t size, int flags)
{
	int err = guard_take(sk);

	return err ? err : READ_ONCE(sk->sk_prot)->sendpage(sk, page, offset, size, flags);
}
#endif

static int guard_setsockopt(struct sock *sk, int level, int name, sockptr_t value, unsigned int len)
{
	int family = TTLS_FAMILY_OF(sk);

	/* The ULP is ours to replace. */
	if (level == SOL_TCP && name == TCP_ULP)
		return -EBUSY;
	return tcp_base[family]->setsockopt(sk, level, name, value, len);
}

/* From a listener, once for each family. */
void ttls_guard_learn(const struct sock *sk)
{
	int family = TTLS_FAMILY_OF(sk);

	tcp_base[family] = sk->sk_prot;
	guard_prot[family] = *sk->sk_prot;
	guard_prot[family].recvmsg = guard_recvmsg;
	guard_prot[family].sendmsg = guard_sendmsg;
#ifdef HAVE_SENDPAGE
	guard_prot[family].sendpage = guard_sendpage;
#endif
	guard_prot[family].setsockopt = guard_setsockopt;
}

/* Before the connection is in the accept queue. */
void ttls_guard(struct sock *sk)
{
	WRITE_ONCE(sk->sk_prot, &guard_prot[TTLS_FAMILY_OF(sk)]);
}

/*
 * Makes what accept() returned a secure connection. The child's reference to the module and, if accept() was
 * ours, that of its proto_ops go on to the connection's.
 */
int ttls_socket_take(struct socket *sock)
{
	struct sock *sk = sock->sk;
	struct inet_connection_sock *icsk = inet_csk(sk);
	int family = TTLS_FAMILY_OF(sk);
	struct ttls_child *child;
	int err;

	lock_sock(sk);
	child = icsk->icsk_ulp_ops == &ttls_ulp_ops && sk->sk_prot == &guard_prot[family] ? ttls_child_of(sk) : NULL;
	if (!child) {
		release_sock(sk);
		return -ECONNABORTED;
	}
	icsk->icsk_ulp_ops = NULL;
	rcu_assign_pointer(icsk->icsk_ulp_data, NULL);
	WRITE_ONCE(sk->sk_prot, tcp_base[family]);
	if (sock->ops != &ttls_listener_ops[family])
		__module_get(THIS_MODULE);
	WRITE_ONCE(sock->ops, ttls_inet_ops[family]);
	release_sock(sk);

	err = hand_over(sock, child);
	ttls_child_put(child);
	if (!err)
		return 0;
	/* The listener, or the caller's ULP operations, keep the module in memory. */
	module_put(THIS_MODULE);
	module_put(THIS_MODULE);
	if (err != -ENOTCONN && err != -ENOMEM)
		pr_err_ratelimited("ttls: kTLS refuses a connection (error %d): is the module tls there, with AES-GCM and ChaCha20-Poly1305?\n",
				   err);
	/* The peer left while it waited, or memory is short. What servers take in their stride. */
	return err == -ENOMEM ? err : -ECONNABORTED;
}

/* When no socket is left. */
void ttls_socket_exit(void)
{
	if (tls_ulp_ops)
		module_put(tls_ulp_ops->owner);
}
