// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The TCP upper-layer protocol "ttls" on a listening socket. From setsockopt() on, accept() and poll() on that
 * socket see only connections whose handshake is complete.
 */
#include <linux/capability.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <net/inet_common.h>
#include <net/sock_reuseport.h>
#include "ttls.h"

struct ttls_family ttls_families[2];
void (*ttls_data_ready)(struct sock *sk);
static DEFINE_MUTEX(hook_lock);

/* The context for the child that this CPU's syn_recv_sock() is making: clone() takes it. */
static DEFINE_PER_CPU(struct ttls_child *, next_child);

static void listener_rcu(struct rcu_head *rcu)
{
	struct ttls_listener *listener = container_of(rcu, struct ttls_listener, rcu);

	sock_put(listener->sk);
	ttls_count(listener->space, TTLS_N_LISTENERS, -1);
	ttls_space_put(listener->space);
	kfree(listener);
}

static void listener_free(struct kref *ref)
{
	call_rcu(&container_of(ref, struct ttls_listener, ref)->rcu, listener_rcu);
}

void ttls_listener_put(struct ttls_listener *listener)
{
	kref_put(&listener->ref, listener_free);
}

static struct ttls_listener *listener_of(const struct sock *sk)
{
	struct ttls_base *base = rcu_dereference_raw(inet_csk(sk)->icsk_ulp_data);

	return base && base->listener ? container_of(base, struct ttls_listener, base) : NULL;
}

/* A new connection arrived at the listener: wakes only for finished ones. */
static void listener_data_ready(struct sock *sk)
{
	if (listener_of(sk) && !reqsk_queue_empty(&inet_csk(sk)->icsk_accept_queue))
		ttls_data_ready(sk);
}

/* Failed handshakes that may wait for their sockets' end, for each place of one under way: memory has a bound. */
#define ENDING_FOR_PLACE	4

static bool listener_has_room(struct ttls_listener *listener, const struct ttls_site *site)
{
	const atomic_long_t *counters = listener->space->counters;

	if (atomic_long_read(&counters[TTLS_N_ENDING]) >= ENDING_FOR_PLACE * (long)site->max_pending)
		return false;
	/* If it has one, its oldest handshake makes room. */
	return READ_ONCE(listener->pending_count) || atomic_long_read(&counters[TTLS_N_PENDING]) < site->max_pending;
}

/*
 * Of sockets that share a port by SO_REUSEPORT, one without the option gives its part of the clients plain text. Looked
 * for once, when a server has had the time to set it on all of them.
 */
static void listener_look_at_group(struct ttls_listener *listener)
{
	struct sock_reuseport *group;
	unsigned int i, count;

	if (likely(listener->looked) || time_before(jiffies, listener->since + 10 * HZ))
		return;
	listener->looked = true;
	rcu_read_lock();
	group = rcu_dereference(listener->sk->sk_reuseport_cb);
	count = group ? READ_ONCE(group->num_socks) : 0;
	for (i = 0; i < count; i++)
		if (!listener_of(group->socks[i])) {
			pr_warn_ratelimited("ttls: port %u: another socket shares it by SO_REUSEPORT, and answers in plain text\n",
					    inet_sk(listener->sk)->inet_num);
			break;
		}
	rcu_read_unlock();
}

/* Whether another handshake may begin; its context, if so. */
static struct ttls_child *listener_admit(struct ttls_listener *listener)
{
	struct ttls_site *site = ttls_site_get(listener->space);
	struct ttls_child *child = NULL;

	if (!site)
		return NULL;
	if (listener_has_room(listener, site))
		child = ttls_child_new(listener, site);
	if (!child)
		ttls_site_put(site);
	return child;
}

/* Before the kernel makes a socket of a completed TCP handshake: the context for it. */
static struct ttls_child *listener_expect(const struct sock *sk, const struct sk_buff *skb)
{
	struct ttls_listener *listener = listener_of(sk);
	struct ttls_child *child;

	/* Data in a SYN (RFC 7413) would reach accept() before its handshake. */
	if (!listener || tcp_hdr(skb)->syn)
		return NULL;
	if (!kref_get_unless_zero(&listener->ref))
		return NULL;
	listener_look_at_group(listener);
	child = listener_admit(listener);
	if (!child)
		ttls_count(listener->space, TTLS_N_REFUSED, 1);
	this_cpu_write(next_child, child);
	ttls_listener_put(listener);
	return child;
}

/*
 * Makes the core leave the child to us, out of the accept queue. A request that was hashed may still be seen by others:
 * by its timer, and by a CPU that looked it up for a SYN sent twice. So it stays what it is, and the core is told that
 * another CPU was first to take it: it then measures the round trip, looks up the packet's socket again, and finds the
 * child.
 */
static void listener_keep_from_queue(struct request_sock *req, bool is_hashed, bool *own_req)
{
	if (is_hashed) {
		inet_csk_reqsk_queue_drop(req->rsk_listener, req);
		reqsk_queue_removed(&inet_csk(req->rsk_listener)->icsk_accept_queue, req);
		*own_req = false;
	} else {
		/* Made of a SYN cookie, and only its maker's. As for a subflow that joins an MPTCP connection. */
		tcp_rsk(req)->is_mptcp = 1;
		tcp_rsk(req)->drop_req = 1;
	}
}

/* After it: the socket, if there is one, begins its TLS handshake. */
static struct sock *listener_arrive(struct ttls_child *child, struct sock *newsk, struct request_sock *req,
				    bool is_hashed, bool *own_req)
{
	if (this_cpu_read(next_child)) {
		/* No socket was made. */
		this_cpu_write(next_child, NULL);
		ttls_child_put(child);
	} else if (newsk && *own_req) {
		listener_keep_from_queue(req, is_hashed, own_req);
		ttls_child_begin(child);
	}
	return newsk;
}

#ifdef HAVE_OPT_CHILD_INIT
static struct sock *ttls_syn_recv_sock(const struct sock *sk, struct sk_buff *skb, struct request_sock *req,
				       struct dst_entry *dst, struct request_sock *req_unhash, bool *own_req,
				       void (*child_init)(struct sock *newsk, const struct sock *sk))
{
	const struct inet_connection_sock_af_ops *ops = ttls_family_of(sk)->af_ops;
	struct ttls_child *child = listener_expect(sk, skb);

	if (!child)
		return NULL;
	return listener_arrive(child, ops->syn_recv_sock(sk, skb, req, dst, req_unhash, own_req, child_init), req,
			       req_unhash, own_req);
}
#else
static struct sock *ttls_syn_recv_sock(const struct sock *sk, struct sk_buff *skb, struct request_sock *req,
				       struct dst_entry *dst, struct request_sock *req_unhash, bool *own_req)
{
	const struct inet_connection_sock_af_ops *ops = ttls_family_of(sk)->af_ops;
	struct ttls_child *child = listener_expect(sk, skb);

	if (!child)
		return NULL;
	return listener_arrive(child, ops->syn_recv_sock(sk, skb, req, dst, req_unhash, own_req), req,
			       req_unhash, own_req);
}
#endif

/* The child is a copy of the listener: gives it its own operations back, before it is hashed. */
static void ttls_clone(const struct request_sock *req, struct sock *sk, const gfp_t priority)
{
	struct ttls_child *child = this_cpu_read(next_child);

	this_cpu_write(next_child, NULL);
	inet_csk(sk)->icsk_af_ops = ttls_family_of(sk)->af_ops;
	sk->sk_data_ready = ttls_data_ready;
	rcu_assign_pointer(inet_csk(sk)->icsk_ulp_data, NULL);
	__module_get(THIS_MODULE);	/* put by tcp_cleanup_ulp() */
	if (!WARN_ON_ONCE(!child))
		ttls_child_adopt(child, sk);
}

static void ttls_release(struct sock *sk)
{
	struct ttls_listener *listener = listener_of(sk);
	struct ttls_child *child = ttls_child_of(sk), *next;

	rcu_assign_pointer(inet_csk(sk)->icsk_ulp_data, NULL);
	if (child)
		ttls_child_put(child);
	if (!listener)
		return;
	spin_lock_bh(&listener->lock);
	listener->closed = true;
	list_for_each_entry_safe(child, next, &listener->pending, node)
		ttls_child_end_locked(child);
	spin_unlock_bh(&listener->lock);
	ttls_listener_put(listener);
}

#ifdef HAVE_PROTO_ACCEPT_ARG
static int ttls_accept(struct socket *sock, struct socket *newsock, struct proto_accept_arg *arg)
{
	int err = ttls_family_of(sock->sk)->inet_ops->accept(sock, newsock, arg);

	return err ? err : ttls_guard_result(newsock->sk);
}
#else
static int ttls_accept(struct socket *sock, struct socket *newsock, int flags, bool kern)
{
	int err = ttls_family_of(sock->sk)->inet_ops->accept(sock, newsock, flags, kern);

	return err ? err : ttls_guard_result(newsock->sk);
}
#endif

/* Remembers the kernel's operations for a family, by a socket that nobody has changed. */
static int listener_learn(struct ttls_family *family, int number)
{
	struct socket *sock;
	int err = sock_create_kern(&init_net, number, SOCK_STREAM, IPPROTO_TCP, &sock);

	if (err)
		return err;
	family->listener_ops = *sock->ops;
	family->listener_ops.owner = THIS_MODULE;
	family->listener_ops.accept = ttls_accept;
	family->af_ops = inet_csk(sock->sk)->icsk_af_ops;
	family->listener_af_ops = *family->af_ops;
	family->listener_af_ops.syn_recv_sock = ttls_syn_recv_sock;
	ttls_data_ready = sock->sk->sk_data_ready;
	ttls_guard_learn(sock->sk);
	family->inet_ops = sock->ops;
	sock_release(sock);
	return 0;
}

/* Whether all operations are TCP's own. Those of SMC, MPTCP and a BPF sockmap are not. */
static bool listener_is_plain(const struct sock *sk)
{
	struct ttls_family *family = ttls_family_of(sk);
	int err = 0;

	mutex_lock(&hook_lock);
	if (!family->inet_ops)
		err = listener_learn(family, sk->sk_family);
	mutex_unlock(&hook_lock);
	return !err && sk->sk_socket->ops == family->inet_ops && inet_csk(sk)->icsk_af_ops == family->af_ops &&
	       READ_ONCE(sk->sk_prot) == family->tcp && sk->sk_data_ready == ttls_data_ready;
}

/*
 * Answering for the namespace's names is a privilege: it takes CAP_NET_ADMIN there, or a port that it took a
 * privilege to bind.
 */
static bool listener_may_attach(struct sock *sk)
{
	struct net *net = sock_net(sk);

	return inet_sk(sk)->inet_num < READ_ONCE(net->ipv4.sysctl_ip_prot_sock) ||
	       ns_capable(net->user_ns, CAP_NET_ADMIN);
}

/* setsockopt(fd, SOL_TCP, TCP_ULP, "ttls"). The socket's lock is held. */
static int ttls_init(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct ttls_family *family = ttls_family_of(sk);
	struct ttls_listener *listener;
	struct ttls_site *site;

	sock_owned_by_me(sk);
	if (sk->sk_state != TCP_LISTEN || !sk->sk_socket)
		return -EINVAL;
	if (!listener_may_attach(sk))
		return -EPERM;
	if (!listener_is_plain(sk))
		return -EOPNOTSUPP;
	listener = kzalloc(sizeof(*listener), GFP_KERNEL_ACCOUNT);
	if (!listener)
		return -ENOMEM;
	listener->space = ttls_space_get(sock_net(sk));
	site = ttls_site_get(listener->space);
	if (!site) {
		ttls_space_put(listener->space);
		kfree(listener);
		return -ENOKEY;
	}
	ttls_site_put(site);
	listener->base.listener = true;
	kref_init(&listener->ref);
	spin_lock_init(&listener->lock);
	INIT_LIST_HEAD(&listener->pending);
	INIT_LIST_HEAD(&listener->ending);
	listener->sk = sk;
	listener->since = jiffies;
	sock_hold(sk);
	ttls_count(listener->space, TTLS_N_LISTENERS, 1);

	__module_get(THIS_MODULE);	/* for sock->ops, put when the socket is released */
	rcu_assign_pointer(icsk->icsk_ulp_data, &listener->base);
	/* Before the hooks, so that every child is cloned by them; the caller stores the same. */
	icsk->icsk_ulp_ops = &ttls_ulp_ops;
	smp_wmb();	/* with the dependency of a softirq's call through icsk_af_ops */
	WRITE_ONCE(icsk->icsk_af_ops, &family->listener_af_ops);
	sk->sk_data_ready = listener_data_ready;
	WRITE_ONCE(sk->sk_socket->ops, &family->listener_ops);
	return 0;
}

struct tcp_ulp_ops ttls_ulp_ops = {
	.name = "ttls",
	.owner = THIS_MODULE,
	.init = ttls_init,
	.clone = ttls_clone,
	.release = ttls_release,
};
