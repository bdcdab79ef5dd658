// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Entries of the accept queue. The kernel makes its own with inet_reqsk_alloc(), which not every version exports. */
#include <linux/slab.h>
#include "ttls.h"

/*
 * An entry for a connection of the listener. accept() puts it, which frees it. The fields are set one by one, never
 * zeroed: readers under RCU may still stand on what this memory was before.
 */
struct request_sock *ttls_request_new(struct sock *lsk, struct sock *sk)
{
	const struct request_sock_ops *ops = sk->sk_prot->rsk_prot;
	struct request_sock *req = kmem_cache_alloc(ops->slab, GFP_ATOMIC | __GFP_NOWARN);

	if (!req)
		return NULL;
	sock_hold(lsk);
	req->rsk_listener = lsk;
	req->rsk_ops = ops;
	req->sk = sk;
	req->dl_next = NULL;
	req->saved_syn = NULL;
	req->syncookie = 0;
	req->num_timeout = 0;
	req->num_retrans = 0;
	req->timeout = TCP_TIMEOUT_INIT;
	req_to_sk(req)->sk_prot = lsk->sk_prot;
	sk_node_init(&req_to_sk(req)->sk_node);
	sk_tx_queue_clear(req_to_sk(req));
	inet_rsk(req)->ireq_opt = NULL;
#if IS_ENABLED(CONFIG_IPV6)
	inet_rsk(req)->pktopts = NULL;
#endif
	atomic64_set(&inet_rsk(req)->ir_cookie, 0);
	inet_rsk(req)->ireq_state = TCP_NEW_SYN_RECV;
	write_pnet(&inet_rsk(req)->ireq_net, sock_net(lsk));
	inet_rsk(req)->ireq_family = lsk->sk_family;
	tcp_rsk(req)->tfo_listener = false;
	tcp_rsk(req)->is_mptcp = 0;
	/* Last, for the same readers. */
	smp_wmb();
	refcount_set(&req->rsk_refcnt, 1);
	return req;
}

/* One that was never in the queue. */
void ttls_request_free(struct request_sock *req)
{
	sock_put(req->rsk_listener);
	refcount_set(&req->rsk_refcnt, 0);
	kmem_cache_free(req->rsk_ops->slab, req);
}
