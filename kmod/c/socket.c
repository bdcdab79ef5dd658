// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * An accepted connection: the kernel's TLS records (kTLS) below, and above it what a program expects of a plain
 * socket. Here it gets its keys and its operations, and loses them.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <net/tls.h>
#include "ttls.h"

#define WARNING		1
#define CLOSE_NOTIFY	0

static const struct tcp_ulp_ops *tls_ulp_ops;
static struct tcp_ulp_ops socket_ulp_ops;
static DEFINE_MUTEX(wrap_lock);

static int socket_get_info(struct sock *sk, char __user *value, int __user *len)
{
	struct ttls_info *info = &ttls_socket_of(sk)->info;
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
		return socket_get_info(sk, value, len);
	if (level == SOL_TLS)
		return -ENOPROTOOPT;	/* kTLS would give the keys away */
	if (level == SOL_TCP && name == TCP_ZEROCOPY_RECEIVE)
		return -EOPNOTSUPP;	/* TCP would give ciphertext */
	return ttls_family_of(sk)->tls->getsockopt(sk, level, name, value, len);
}

/* Whether TCP sends at once what it held back until now. */
static bool socket_uncorks(int level, int name, sockptr_t value, unsigned int len)
{
	int on;

	if (level != SOL_TCP || (name != TCP_CORK && name != TCP_NODELAY))
		return false;
	if (len < sizeof(on) || copy_from_sockptr(&on, value, sizeof(on)))
		return false;
	return name == TCP_CORK ? !on : on;
}

static int socket_setsockopt(struct sock *sk, int level, int name, sockptr_t value, unsigned int len)
{
	if (level == SOL_TLS)
		return -ENOPROTOOPT;
	if (socket_uncorks(level, name, value, len))
		ttls_send_flush(sk);
	return ttls_family_of(sk)->tls->setsockopt(sk, level, name, value, len);
}

static void socket_close(struct sock *sk, long timeout)
{
	ttls_send_last(sk, WARNING, CLOSE_NOTIFY);
	cancel_delayed_work_sync(&ttls_socket_of(sk)->flush);
	ttls_family_of(sk)->tls->close(sk, timeout);
}

static int socket_shutdown(struct socket *sock, int how)
{
	if (how == SHUT_WR || how == SHUT_RDWR)
		ttls_send_last(sock->sk, WARNING, CLOSE_NOTIFY);
	return ttls_family_of(sock->sk)->tls_ops->shutdown(sock, how);
}

static void socket_release(struct sock *sk)
{
	struct ttls_socket *socket = ttls_socket_of(sk);

	sk->sk_user_data = NULL;
	ttls_count(socket->space, TTLS_N_CONNECTIONS, -1);
	ttls_space_put(socket->space);
	kfree_sensitive(socket);
	if (tls_ulp_ops->release)
		tls_ulp_ops->release(sk);
	module_put(tls_ulp_ops->owner);
}

/* The first connection of its family shows kTLS's operations. */
static void socket_learn(struct ttls_family *family, const struct socket *sock)
{
	const struct inet_connection_sock *icsk = inet_csk(sock->sk);

	if (!tls_ulp_ops) {
		socket_ulp_ops = *icsk->icsk_ulp_ops;
		socket_ulp_ops.owner = THIS_MODULE;
		socket_ulp_ops.release = socket_release;
		/* What is remembered here must stay where it is. */
		__module_get(icsk->icsk_ulp_ops->owner);
		WRITE_ONCE(tls_ulp_ops, icsk->icsk_ulp_ops);
	}
	if (!family->tls) {
		family->socket = *sock->sk->sk_prot;
		family->socket.getsockopt = socket_getsockopt;
		family->socket.setsockopt = socket_setsockopt;
		family->socket.close = socket_close;
		family->socket_ops = *sock->ops;
		family->socket_ops.owner = THIS_MODULE;
		family->socket_ops.shutdown = socket_shutdown;
		ttls_send_learn(&family->socket);
		ttls_receive_learn(&family->socket, &family->socket_ops);
		family->tls_ops = sock->ops;
		family->tls = sock->sk->sk_prot;
	}
}

/* Puts our operations over kTLS's. The socket's lock is held. */
static int socket_wrap(struct socket *sock, struct ttls_socket *socket)
{
	struct sock *sk = sock->sk;
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct ttls_family *family = ttls_family_of(sk);
	bool same;

	sock_owned_by_me(sk);
	/* A network card that takes the records over has operations of its own. */
	if (tls_get_ctx(sk)->tx_conf != TLS_SW || tls_get_ctx(sk)->rx_conf != TLS_SW || sk->sk_user_data)
		return -EOPNOTSUPP;
	mutex_lock(&wrap_lock);
	socket_learn(family, sock);
	same = family->tls == sk->sk_prot && family->tls_ops == sock->ops && tls_ulp_ops == icsk->icsk_ulp_ops;
	mutex_unlock(&wrap_lock);
	if (!same)
		return -EOPNOTSUPP;
	sk->sk_user_data = socket;
	ttls_receive_init(sk, socket);
	icsk->icsk_ulp_ops = &socket_ulp_ops;
	WRITE_ONCE(sk->sk_prot, &family->socket);
	WRITE_ONCE(sock->ops, &family->socket_ops);
	/* tcp_set_ulp() takes it away, for operations that would not know. Ours take what is sent so for a copy. */
	set_bit(SOCK_SUPPORT_ZC, &sock->flags);
	return 0;
}

/*
 * kTLS checks that a connection is established. It serves one that the peer has half-closed as well, so the state
 * is another for that check alone, under the socket's lock. Needs kTLS's operations, from any connection before.
 */
static int socket_begin_half_closed(struct sock *sk)
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

/* Ciphertext must not be read as what the client said. */
static void socket_cut_off(struct sock *sk)
{
	lock_sock(sk);
	ttls_family_of(sk)->tcp->disconnect(sk, 0);
	release_sock(sk);
}

/*
 * Makes a connection whose handshake is complete a secure one. Its operations are TCP's, nobody else knows it yet, and
 * it is not locked. What can not be made secure is cut off.
 */
int ttls_socket_open(struct socket *sock, struct ttls_child *child)
{
	const struct ttls_established *established = &child->established;
	u16 version = established->info.version;
	struct sock *sk = sock->sk;
	struct ttls_socket *socket;
	int err;

	/* First, so that lack of memory leaves no receiving kTLS behind. */
	socket = kzalloc(sizeof(*socket), GFP_KERNEL_ACCOUNT);
	if (!socket) {
		socket_cut_off(sk);
		return -ENOMEM;
	}
	socket->sk = sk;
	socket->info = established->info;
	socket->lowat = child->listener->sk->sk_rcvlowat;
	ttls_send_init(socket);
#ifdef HAVE_REKEY
	memcpy(socket->receive_secret, established->receive.secret, TTLS_SECRET);
	memcpy(socket->send_secret, established->send.secret, TTLS_SECRET);
#endif
	err = sk->sk_prot->setsockopt(sk, SOL_TCP, TCP_ULP, KERNEL_SOCKPTR("tls"), 4);
	if (err == -ENOTCONN)
		err = socket_begin_half_closed(sk);
	if (!err && !READ_ONCE(tls_ulp_ops))
		ttls_keys_hush(inet_csk(sk)->icsk_ulp_ops->owner);
	if (!err)
		err = ttls_keys_install(sk, TLS_TX, version, &established->send);
	if (!err)
		err = ttls_keys_install(sk, TLS_RX, version, &established->receive);
	if (err) {
		socket_cut_off(sk);
		kfree_sensitive(socket);
		return err;
	}
	kref_get(&child->space->ref);
	socket->space = child->space;
	lock_sock(sk);
	err = socket_wrap(sock, socket);
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

/* When no socket is left. */
void ttls_socket_exit(void)
{
	if (tls_ulp_ops)
		module_put(tls_ulp_ops->owner);
}
