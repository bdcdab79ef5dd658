// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A connection between the end of its handshake and accept(), which may return by the kernel's own code: it slept
 * when the listener got its option. So the connection is handed over where accept() gives its lock back, before
 * anybody else can have it: not a byte passes in plain text, nor any ciphertext, by whatever call.
 */
#include <linux/module.h>
#include "ttls.h"

/*
 * Makes what accept() is about to return a secure connection. The child's reference to the module and, if accept()
 * was ours, that of its proto_ops go on to the connection's.
 */
static int guard_take(struct socket *sock)
{
	struct sock *sk = sock->sk;
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct ttls_family *family = ttls_family_of(sk);
	struct ttls_child *child = ttls_child_of(sk);
	int err;

	lock_sock(sk);
	icsk->icsk_ulp_ops = NULL;
	rcu_assign_pointer(icsk->icsk_ulp_data, NULL);
	WRITE_ONCE(sk->sk_prot, family->tcp);
	if (sock->ops != &family->listener_ops)
		__module_get(THIS_MODULE);
	WRITE_ONCE(sock->ops, family->inet_ops);
	release_sock(sk);

	err = ttls_socket_open(sock, child);
	ttls_child_put(child);
	if (!err)
		return 0;
	/* The listener keeps the module in memory. */
	module_put(THIS_MODULE);
	module_put(THIS_MODULE);
	if (err != -ENOTCONN && err != -ENOMEM)
		pr_err_ratelimited("ttls: kTLS refuses a connection (error %d): is the module tls there, with AES-GCM and ChaCha20-Poly1305?\n",
				   err);
	/* The peer left while it waited, or memory is short. What servers take in their stride. */
	return err == -ENOMEM ? err : -ECONNABORTED;
}

/*
 * The last thing that release_sock() does with the lock. It may give the lock away: release_sock() does the same
 * before, for the backlog. accept() is the first that has a struct socket.
 */
static void guard_release_cb(struct sock *sk)
{
	struct proto *tcp = ttls_family_of(sk)->tcp;
	int err;

	tcp->release_cb(sk);
	if (!sk->sk_socket)
		return;
	/* Up to Linux 6.3, TCP has done this. */
	if (sock_owned_by_user_nocheck(sk))
		sock_release_ownership(sk);
	/* The spinlock orders this against who goes to sleep, as in release_sock(). */
	if (waitqueue_active(&sk->sk_lock.wq))
		wake_up(&sk->sk_lock.wq);
	spin_unlock_bh(&sk->sk_lock.slock);
	err = guard_take(sk->sk_socket);
	lock_sock(sk);
	if (err)
		WRITE_ONCE(sk->sk_err, -err);
	spin_lock_bh(&sk->sk_lock.slock);
	while (sk->sk_backlog.tail) {
		spin_unlock_bh(&sk->sk_lock.slock);
		release_sock(sk);
		lock_sock(sk);
		spin_lock_bh(&sk->sk_lock.slock);
	}
	tcp->release_cb(sk);
}

/* What accept() is to return: 0 for a secure connection. Others were in the accept queue before the option was set. */
int ttls_guard_result(struct sock *sk)
{
	if (READ_ONCE(sk->sk_prot) == &ttls_family_of(sk)->socket)
		return 0;
	return sock_error(sk) ?: -ECONNABORTED;
}

/* From a listener, once for each family. */
void ttls_guard_learn(const struct sock *sk)
{
	struct ttls_family *family = ttls_family_of(sk);

	family->tcp = sk->sk_prot;
	family->guard = *sk->sk_prot;
	family->guard.release_cb = guard_release_cb;
}

/* Before the connection is in the accept queue. */
void ttls_guard(struct sock *sk)
{
	WRITE_ONCE(sk->sk_prot, &ttls_family_of(sk)->guard);
}
