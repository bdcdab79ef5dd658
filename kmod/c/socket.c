// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * An accepted connection: the kernel's TLS records (kTLS) below, and above it what a program expects of a plain
 * socket. close_notify reads as end of file, an alert as ECONNRESET, close() and shutdown() send close_notify,
 * and records are cut to what TCP can send now.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <net/tls.h>
#include "ttls.h"

#define ALERT		21
#define HANDSHAKE	22
/* Header, nonce or inner type, and tag. */
#define OVERHEAD	29

struct ttls_socket {
	struct ttls_space *space;
	struct ttls_info info;
	unsigned long flags;
};

enum { EOF_READ, CLOSE_SENT };

/* kTLS's operations, and our copies of them. */
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

static int send_alert(struct sock *sk, u8 level, u8 description)
{
	u8 alert[2] = { level, description };
	struct kvec vec = { alert, sizeof(alert) };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(1)];
	} control = {
		.header = { .cmsg_len = CMSG_LEN(1), .cmsg_level = SOL_TLS, .cmsg_type = TLS_SET_RECORD_TYPE },
	};
	struct msghdr msg = {
		.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	*(u8 *)CMSG_DATA(&control.header) = ALERT;
	iov_iter_kvec(&msg.msg_iter, 1 /* WRITE, ITER_SOURCE */, &vec, 1, sizeof(alert));
	return tls_prot[TTLS_FAMILY_OF(sk)]->sendmsg(sk, &msg, sizeof(alert));
}

/* Once, and only while the connection stands. The socket's lock is not held. */
static void close_notify(struct sock *sk)
{
	struct ttls_socket *socket = socket_of(sk);

	if (socket && (1 << sk->sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT) &&
	    !test_and_set_bit(CLOSE_SENT, &socket->flags))
		send_alert(sk, 1, 0);
}

/* A record that is not data is at the head of the queue: takes it. Positive: read on. */
static int control_record(struct sock *sk, struct ttls_socket *socket, int *addr_len)
{
	u8 body[256];
	struct kvec vec = { body, sizeof(body) };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(1)];
	} control = {};
	struct msghdr msg = { .msg_control = &control, .msg_controllen = sizeof(control), .msg_flags = MSG_DONTWAIT };
	int n;

	iov_iter_kvec(&msg.msg_iter, 0 /* READ, ITER_DEST */, &vec, 1, sizeof(body));
	n = tls_prot[TTLS_FAMILY_OF(sk)]->recvmsg(sk, &msg, sizeof(body), MSG_DONTWAIT, addr_len);
	if (n < 0)
		return n == -EAGAIN ? -EIO : n;
	if (control.header.cmsg_level != SOL_TLS)
		return -EIO;
	switch (*(u8 *)CMSG_DATA(&control.header)) {
	case ALERT:
		if (n < 2 || body[1] != 0)
			return -ECONNRESET;
		set_bit(EOF_READ, &socket->flags);
		return 0;
	case HANDSHAKE:
		/* New keys (RFC 8446 section 4.6.3), or a renegotiation: kTLS here can do neither. */
		close_notify(sk);
		return -ECONNRESET;
	}
	return -EIO;
}

static int socket_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)
{
	struct ttls_socket *socket = socket_of(sk);
	int n;

	if (test_bit(EOF_READ, &socket->flags))
		return 0;
	n = tls_prot[TTLS_FAMILY_OF(sk)]->recvmsg(sk, msg, len, flags, addr_len);
	if (n != -EIO || msg->msg_controllen)
		return n;
	return control_record(sk, socket, addr_len);
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

static int socket_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)
{
	const struct proto *tls = tls_prot[TTLS_FAMILY_OF(sk)];
	struct ttls_socket *socket = socket_of(sk);
	size_t left = iov_iter_count(&msg->msg_iter), limit = socket->info.record_limit;
	unsigned int flags = msg->msg_flags;
	int sent = 0, n;

	if (test_bit(CLOSE_SENT, &socket->flags))
		return -EPIPE;
	if (msg->msg_controllen)
		return tls->sendmsg(sk, msg, len);
	do {
		size_t size = min(left, record_size(sk, limit));

		/* A record left open would grow past the limit. */
		if (size < left || limit < TLS_MAX_PAYLOAD_SIZE)
			msg->msg_flags = flags & ~MSG_MORE;
		else
			msg->msg_flags = flags;
		iov_iter_truncate(&msg->msg_iter, size);
		n = tls->sendmsg(sk, msg, size);
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

	if (test_bit(CLOSE_SENT, &socket->flags))
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
	kfree(socket);
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

union crypto_info {
	struct tls_crypto_info info;
	struct tls12_crypto_info_aes_gcm_128 gcm128;
	struct tls12_crypto_info_aes_gcm_256 gcm256;
	struct tls12_crypto_info_chacha20_poly1305 chacha;
};

/* In TLS 1.2 the explicit half of a GCM nonce only has to be fresh: the sequence number is (RFC 5288 section 3). */
#define FILL_GCM(target, keys, version, sequence) do {						\
	memcpy((target)->key, (keys)->key, sizeof((target)->key));				\
	memcpy((target)->salt, (keys)->iv, sizeof((target)->salt));				\
	if ((version) == TLS_1_3_VERSION)							\
		memcpy((target)->iv, (keys)->iv + sizeof((target)->salt), sizeof((target)->iv));	\
	else											\
		memcpy((target)->iv, &(sequence), sizeof((target)->iv));			\
	memcpy((target)->rec_seq, &(sequence), sizeof((target)->rec_seq));			\
} while (0)

static int install(struct sock *sk, int direction, u16 version, const struct ttls_direction *keys)
{
	union crypto_info crypto = { .info.version = version };
	__be64 sequence = cpu_to_be64(keys->sequence);
	unsigned int len;
	int err;

	switch (keys->cipher) {
	case 0:
		crypto.info.cipher_type = TLS_CIPHER_AES_GCM_128;
		FILL_GCM(&crypto.gcm128, keys, version, sequence);
		len = sizeof(crypto.gcm128);
		break;
	case 1:
		crypto.info.cipher_type = TLS_CIPHER_AES_GCM_256;
		FILL_GCM(&crypto.gcm256, keys, version, sequence);
		len = sizeof(crypto.gcm256);
		break;
	default:
		crypto.info.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
		memcpy(crypto.chacha.key, keys->key, sizeof(crypto.chacha.key));
		memcpy(crypto.chacha.iv, keys->iv, sizeof(crypto.chacha.iv));
		memcpy(crypto.chacha.rec_seq, &sequence, sizeof(crypto.chacha.rec_seq));
		len = sizeof(crypto.chacha);
	}
	err = sk->sk_prot->setsockopt(sk, SOL_TLS, direction, KERNEL_SOCKPTR(&crypto), len);
	memzero_explicit(&crypto, sizeof(crypto));
	return err;
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
	err = sk->sk_prot->setsockopt(sk, SOL_TCP, TCP_ULP, KERNEL_SOCKPTR("tls"), 4);
	if (err == -ENOTCONN)
		err = begin_half_closed(sk);
	if (!err)
		err = install(sk, TLS_TX, version, &established->send);
	if (!err)
		err = install(sk, TLS_RX, version, &established->receive);
	if (err) {
		/* Ciphertext must not be read as what the client said. */
		lock_sock(sk);
		tcp_disconnect(sk, 0);
		release_sock(sk);
		kfree(socket);
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
		kfree(socket);
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
static struct proto *tcp_base[2];
static struct proto guard_prot[2];

static int guard_take(struct sock *sk)
{
	return sk->sk_socket ? ttls_socket_take(sk->sk_socket) : -ENOTCONN;
}

static int guard_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)
{
	int err = guard_take(sk);

	return err ? err : READ_ONCE(sk->sk_prot)->recvmsg(sk, msg, len, flags, addr_len);
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
